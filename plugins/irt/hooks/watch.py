"""Ends a task that waits in native code, where neither Airflow's alarm nor a signal reaches it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

log = logging.getLogger(__name__)

# How long a cancelled query may take to return, in seconds.
_GRACE = 8.0


@contextmanager
def ended_in_time(cancel: Callable[[], None], longest: timedelta | None) -> Iterator[None]:
    """Cancels what the block waits for when the time is up; if that does not help, ends the process.

    A proxy that accepts all bytes and sends none blocks a query and its cancellation alike. Airflow then finds that the
    task's process is gone, and retries.

    :param cancel: may be called from another thread, and may never return.
    :param longest: None is no limit.
    """
    if longest is None:
        yield
        return
    over = threading.Event()
    for wait, act in ((longest.total_seconds(), cancel), (longest.total_seconds() + _GRACE, lambda: _end(longest))):
        threading.Thread(target=_unless, args=(over, wait, act), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _unless(over: threading.Event, seconds: float, act: Callable[[], None]) -> None:
    if not over.wait(seconds):
        with suppress(Exception):
            act()


def _end(longest: timedelta) -> None:
    log.error(
        "the database answered neither within the task's limit of %s, nor to a cancellation; ending the process",
        longest,
    )
    os.kill(os.getpid(), signal.SIGKILL)
