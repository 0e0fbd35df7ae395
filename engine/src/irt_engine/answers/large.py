"""Arrays of the size of the answers: in memory while they are small beside it, otherwise in a file that is mapped."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import weakref

import numpy as np

# This share of the memory may be taken by such arrays; further ones are files.
_SHARE = 0.25

_held = 0


def large_empty(size: int, kind: type[np.generic]) -> np.ndarray:
    """An array (`size`,) whose contents are not defined.

    A file lies in the folder for temporary files (TMPDIR) without a name, so it goes with the process.

    :raise OSError: the folder has no room for it.
    """
    n_bytes = size * np.dtype(kind).itemsize
    if _held + n_bytes <= _SHARE * memory_bytes():
        return _counted(np.empty(size, kind), n_bytes)
    try:
        with tempfile.TemporaryFile(prefix="irt-engine-") as file:
            os.truncate(file.fileno(), n_bytes)
            if sys.platform == "linux":
                # Without room for all of it now, a write to it later would end the process.
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            memory = mmap.mmap(file.fileno(), n_bytes)
    except OSError as error:
        needed = f"{n_bytes / 1e9:.1f} GB of answers need a file in the folder for temporary files (TMPDIR)"
        raise OSError(error.errno, f"{needed}: {error.strerror}", tempfile.gettempdir()) from None
    return np.frombuffer(memory, kind)


def memory_bytes() -> int:
    """The memory of the machine, or of the container if that is less."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                known.append(int(file.read()))
        except (OSError, ValueError):
            continue
    return min(known)


def _counted(array: np.ndarray, n_bytes: int) -> np.ndarray:
    global _held
    _held += n_bytes
    weakref.finalize(array, _give_back, n_bytes)
    return array


def _give_back(n_bytes: int) -> None:
    global _held
    _held -= n_bytes
