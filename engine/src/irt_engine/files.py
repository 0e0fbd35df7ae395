"""Atomic writes: a reader finds the old file or the complete new one, even if the writer is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, text: str) -> None:
    """Write a text; see `open_whole`."""
    with open_whole(path) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Write beside `path`, sync to disk, and, if the block ends without an error, move into place.

    The draft's name contains the process id, so two processes can write the same file at once. The rename is certain to
    survive a power failure only after the caller has called `sync` on the folder.

    :raise OSError: the file cannot be written; `path` is as it was, and no draft is left.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
