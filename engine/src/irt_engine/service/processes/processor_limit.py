"""A limit on the processor time of this process: unlike wall-clock time, it does not depend on other load."""

from __future__ import annotations

import contextlib
import math
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def processor_seconds(more: float) -> Iterator[None]:
    """Within the block, the process is ended by SIGXCPU when it has used `more` seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = math.ceil(used.ru_utime + used.ru_stime + more)
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
