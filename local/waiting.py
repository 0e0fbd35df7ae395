"""Waiting for progress rather than for seconds.

On a slow or busy machine everything is late, but nothing is wrong. So no wait ends because of the clock alone: it ends
when the awaited thing is there, when a part that it needs has died, or when nothing has made progress for a long time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

# A wait is given up after this long without any sign of work, in seconds.
STILL = 600.0
# When to print the first notice, in seconds; each further one comes after twice as long.
_FIRST_NOTICE = 10.0
# Time between two checks for signs of work, in seconds; the checks take processor time themselves.
_BETWEEN_SIGNS = 5.0


class StandstillError(RuntimeError):
    """The awaited thing is not there, and nothing is working on it any more."""


def wait_until(
    ready: Callable[[], T],
    *,
    what: str | Callable[[], str],
    work: Callable[[], Hashable] | None = None,
    check: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda text: None,
    pause: float = 0.2,
    still: float = STILL,
) -> T:
    """Call `ready` until it returns something true, and return that.

    :param what: names the awaited thing, or what of it is still missing, in the notices and the error.
    :param work: returns anything that changes while work goes on: states, the size of a log, processor time. Default:
        the processor time of all processes below this one.
    :param check: may raise to give up early, for example because a part has died.
    :param say: called during a long wait with what is awaited, and since when.
    :param pause: time between two calls of `ready`, in seconds.
    :param still: how long `work` may stay unchanged, in seconds.
    :raise StandstillError: `work` did not change for longer than `still`.
    """
    work = work or descendants_work
    began = moved = looked = time.monotonic()
    clock, notice, seen = datetime.now(), _FIRST_NOTICE, None
    while not (value := ready()):
        check()
        now = time.monotonic()
        if now - looked >= min(_BETWEEN_SIGNS, still / 4):
            looked = now
            if (sign := work()) != seen:
                seen, moved = sign, now
        if now - moved > still:
            raise StandstillError(f"{_text(what)} is not there, and nothing has moved for {now - moved:.0f} s")
        if now - began > notice:
            say(f"  waiting since {clock:%H:%M:%S} ({now - began:.0f} s) for {_text(what)}")
            notice *= 2
        time.sleep(pause)
    return value


def processor_seconds(processes: Iterable[psutil.Process]) -> int:
    """Whole seconds of processor time used by processes and their descendants; less does not count as work."""
    return int(processor_time(processes))


def processor_time(processes: Iterable[psutil.Process]) -> float:
    used = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            for member in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    # Includes the time of its children that have exited.
                    used += sum(member.cpu_times()[:4])
    return used


def descendants_work() -> int:
    return processor_seconds(psutil.Process().children())


def log_size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _text(what: str | Callable[[], str]) -> str:
    return what if isinstance(what, str) else what()
