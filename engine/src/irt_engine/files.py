"""Files that are written whole: a reader finds one as it was before, or complete, whenever the writer is killed."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write beside `path`, sync to disk, and move into place.

    The draft's name tells processes apart, so two that write the same file at once both leave a whole one. Whether the
    new name survives a power failure is up to the file system, until the caller calls `sync` on the folder.

    :raise OSError: the file cannot be written; `path` is as it was, and no draft is left.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Write a file or the names of a folder to the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
