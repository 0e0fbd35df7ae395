"""Waiting for what takes as long as it takes.

A slow or busy machine makes everything late, and nothing wrong. So nothing here ends a wait because of the clock alone:
it ends when what is waited for is there, when a part that it needs has died, or when nobody has worked on it for long.
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

# Without any sign of work for this long, in seconds, nothing more is to be expected.
STILL = 600.0
# What lasts longer than this is said, in seconds; each further time after twice as long.
_FIRST_NOTICE = 10.0
# Between two looks for signs of work, which take processor time themselves, in seconds.
_BETWEEN_SIGNS = 5.0


class StandstillError(RuntimeError):
    """What is waited for has not come, and nobody works on it any more."""


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
    """Call `ready` until it answers something true, and return that.

    :param what: what is waited for, or what of it is still missing; for the notices and the error.
    :param work: anything that changes while somebody works on it: states, the length of a log, processor time. By
        default the processor time of all processes below this one.
    :param check: may raise to give up early, because a part has died, say.
    :param say: called with what is waited for, and since when, while that lasts.
    :param pause: between two looks, in seconds.
    :param still: how long `work` may stay as it is, in seconds.
    :raise StandstillError: `work` did not change for so long.
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
    """Whole seconds of processor time that processes and all below them have used; less is no sign of work."""
    return int(processor_time(processes))


def processor_time(processes: Iterable[psutil.Process]) -> float:
    used = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            for member in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    # What its ended children have used counts as well.
                    used += sum(member.cpu_times()[:4])
    return used


def descendants_work() -> int:
    return processor_seconds(psutil.Process().children())


def log_size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _text(what: str | Callable[[], str]) -> str:
    return what if isinstance(what, str) else what()
