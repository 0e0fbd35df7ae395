"""Installs packages of Debian or Ubuntu, where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence


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
