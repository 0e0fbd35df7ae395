"""A staging disk that can be full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class StagingDisk:
    """A small disk below the staging folder, which can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                return

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def required_disk(folder: Path, megabytes: int = 16) -> Iterator[StagingDisk]:
    """A disk for tests that need one; skips them if this user cannot mount it, except in CI."""
    with staging_disk(folder, megabytes) as disk:
        require(disk)
        yield disk


def require(disk: StagingDisk | None) -> None:
    if disk is None:
        assert not os.environ.get("CI"), "CI must run as a user that can mount a tmpfs"
        pytest.skip("a full disk needs a tmpfs, which this user may not mount")


@contextmanager
def staging_disk(folder: Path, megabytes: int = 16) -> Iterator[StagingDisk | None]:
    """None if this user cannot mount one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield StagingDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
