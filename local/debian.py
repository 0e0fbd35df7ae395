"""Installs or unpacks packages of Debian or Ubuntu, where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


class CannotInstallError(RuntimeError):
    """Packages are missing and cannot be installed; the message says what to do."""


def apt_install(packages: Sequence[str], *, missing: Sequence[str], needed_for: str) -> None:
    """Install packages with apt-get.

    :param missing: those that are named if it is not possible.
    :raise CannotInstallError: without root or apt-get, or if apt-get fails.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        command = f"sudo apt-get install {' '.join(packages)}"
        raise CannotInstallError(f"{needed_for} needs {', '.join(missing)}; on Debian or Ubuntu: {command}")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *arguments], env=quiet, capture_output=True, text=True)
        if done.returncode:
            raise CannotInstallError(f"apt-get {arguments[0]} failed:\n{done.stderr[-2000:]}")


def apt_unpack(package: str, folder: Path, *, needed_for: str) -> None:
    """Unpack a package's files below `folder` without installing it: no service starts, and root is not needed.

    :raise CannotInstallError: without apt-get, or if it cannot download the package.
    """
    if shutil.which("apt-get") is None:
        raise CannotInstallError(f"{needed_for} needs the programs of Debian's package {package}")
    with tempfile.TemporaryDirectory() as downloads:
        if _download(package, downloads).returncode:
            # Perhaps the lists of packages are missing or old; only root may fetch them.
            subprocess.run(["apt-get", "update"], capture_output=True)
            done = _download(package, downloads)
            if done.returncode:
                raise CannotInstallError(f"{needed_for}: apt-get download {package} failed:\n{done.stderr[-2000:]}")
        for file in Path(downloads).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", str(file), str(folder)], check=True)


def _download(package: str, folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, text=True)
