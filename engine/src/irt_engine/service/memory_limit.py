"""A limit on the memory of this process, for as long as it reads what may lie about its size."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

_USED = "VmData:"


@contextlib.contextmanager
def memory_for(more_bytes: int) -> Iterator[None]:
    """Allocations that take more than so many bytes besides what is used now raise MemoryError. On Linux alone."""
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (_used_bytes() + more_bytes, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used_bytes() -> int:
    """What counts against the limit: memory that can be written and is this process's own, touched or not."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(_USED):
            return int(line.split()[1]) * 1024
    return 0
