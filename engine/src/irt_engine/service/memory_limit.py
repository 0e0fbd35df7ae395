"""Memory limits of this process: permanent for a worker, temporary while it reads what may lie about its size."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from irt_engine.service.limits import MEBIBYTE

_USED = "VmData:"
# A container's memory limit: cgroup v2, and v1.
_CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# For the service, the fork server, and what they write to a state folder in memory.
_SPARED = 512 * MEBIBYTE
_LEAST = 256 * MEBIBYTE


@contextlib.contextmanager
def memory_for(more_bytes: int) -> Iterator[None]:
    """Within the block, allocations beyond current use + `more_bytes` raise MemoryError (Linux only)."""
    if sys.platform != "linux":
        yield
        return
    import resource

    limits = resource.getrlimit(resource.RLIMIT_DATA)
    limit_memory(more_bytes)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)


def limit_memory(more_bytes: int) -> None:
    """From now on, allocations beyond current use + `more_bytes` raise MemoryError (Linux only)."""
    if sys.platform != "linux":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (_used_bytes() + more_bytes, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))


def share_of_memory(parts: int, container: tuple[Path, ...] = _CONTAINER) -> int:
    """Bytes that each of `parts` processes may take of the memory of the container or else the machine.

    If a container exceeds its limit, Kubernetes (since 1.28, with cgroup v2) kills all its processes.
    """
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in container:
        # cgroup v2 writes "max" for no limit.
        with contextlib.suppress(OSError, ValueError):
            found.append(int(file.read_text()))
    return max((min(found) - _SPARED) // parts, _LEAST)


def _used_bytes() -> int:
    """The memory that counts against the limit: private and writable, whether touched or not."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(_USED):
            return int(line.split()[1]) * 1024
    return 0
