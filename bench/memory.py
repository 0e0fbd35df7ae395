"""Peak memory of processes."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import psutil


class Peak:
    """Peak memory of a process together with its children, sampled ten times a second."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._highest, self._over = process, 0, threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._highest = max(self._highest, sum(map(resident, [self._process, *self._children()])))

    def _children(self) -> list[psutil.Process]:
        return self._process.children(recursive=True)

    def end(self) -> int:
        self._over.set()
        self._watching.join()
        return self._highest


def high_water(pid: int | str) -> int:
    """The kernel's record of a process's peak memory in bytes; 0 where it keeps none (only Linux does)."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0)


def resident(process: psutil.Process) -> int:
    try:
        # PSS: pages that forks share count once.
        return process.memory_full_info().pss if sys.platform == "linux" else process.memory_info().rss
    except psutil.Error:
        return 0
