"""Runs a kernel in parts on several threads.

Kernels release the interpreter's lock, so plain threads run them side by side. The result of a part depends on its
index and on the number of parts, but not on the thread, so it is the same for any number of threads. (numba's own
parallel loops round differently in the process that compiles them and in processes that load them from the cache.)
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

# Below this number of elementary steps a second thread costs more than it saves.
_WORTHWHILE = 300_000

# Number of parts: enough to balance the load, few enough to start at no cost.
PARTS = 16

_pool: ThreadPoolExecutor | None = None


def thread_count() -> int:
    """As many as numba would use: the number of processors of this process, or NUMBA_NUM_THREADS."""
    # numba.config defines its names at import.
    config: Any = numba.config
    return int(config.NUMBA_NUM_THREADS)


def run(kernel: Callable[..., None], *arguments: Any, work: float, parts: int = PARTS) -> None:
    """Call `kernel(part, parts, *arguments)` for each part, on as many threads as `work` is worth."""
    waiting = deque(range(parts))
    threads = min(thread_count(), parts) if work >= _WORTHWHILE else 1

    def work_off() -> None:
        while waiting:
            try:
                part = waiting.popleft()
            except IndexError:
                return
            kernel(part, parts, *arguments)

    others = [_threads().submit(work_off) for _ in range(threads - 1)]
    work_off()
    for other in others:
        other.result()


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(thread_count(), "irt-engine")
    return _pool


def close() -> None:
    """End the threads; the next kernel that needs some starts new ones. A process should fork with one thread."""
    global _pool
    if _pool is not None:
        _pool.shutdown()
    _pool = None


def _forget() -> None:
    """A forked process inherits the pool, but not its threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
