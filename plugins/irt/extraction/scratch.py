"""Temporary files, and the error for a full disk."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from irt.errors import TransientError


class Scratch:
    """A temporary file, which only its owner can read.

    It is made when something is written to it. It has no name, so that the operating system removes it when the process
    ends, however that happens.
    """

    def __init__(self) -> None:
        self._made: Any = None
        self.size = 0

    @property
    def _file(self) -> Any:
        if self._made is None:
            # Without a buffer, whose rest would be written, and fail again, on closing (see `close`).
            self._made = tempfile.TemporaryFile(prefix="irt-", buffering=0)  # noqa: SIM115
        return self._made

    def append(self, content: Any) -> int:
        """Write bytes to the end; returns where they begin.

        :raise TransientError: the disk is full; names the folder.
        """
        place, left = self.size, memoryview(content)
        left = left.cast("B") if left.nbytes else left[:0]
        with naming_full_disk(f"the temporary folder {tempfile.gettempdir()} (TMPDIR)"):
            while left:
                written = os.write(self._file.fileno(), left)
                left = left[written:]
                self.size += written
        return place

    def read(self, place: int, into: memoryview) -> None:
        """Fill an array of bytes with what was written there; several threads may read at once."""
        while into:
            size = os.preadv(self._file.fileno(), [into], place)
            if not size:
                raise OSError(errno.EIO, "a temporary file is shorter than what was written to it")
            place, into = place + size, into[size:]

    def mapped(self, kind: Any) -> np.ndarray:
        """All of it as an array, of which only those pages are in memory that are read; there must be something."""
        return np.memmap(self._file, kind, "r")

    def close(self) -> None:
        if self._made:
            self._made.close()


@contextmanager
def naming_full_disk(folder: str) -> Iterator[None]:
    """Say where there is no space: the operating system's message names no folder.

    :raise TransientError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TransientError(f"{folder}: {os.strerror(error.errno)}") from error
