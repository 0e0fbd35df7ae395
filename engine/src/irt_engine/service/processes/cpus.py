"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cpus() -> int:
    """The processors of our affinity mask, or fewer if a container has a quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, _quota(_QUOTA) or cpus))


def _quota(file: Path) -> int | None:
    """The quota in whole processors, rounded up (cgroup v2: `QUOTA PERIOD` in microseconds, or `max`)."""
    try:
        quota, period = file.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return None
