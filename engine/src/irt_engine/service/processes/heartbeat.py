"""Detects that another process hangs: a working one answers, or at least uses processor time, as when it compiles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

# Checks within the patience, and the number without a sign of work after which a process counts as late.
_CHECKS, _LATE = 15, 5


class Heartbeat:
    """Checks a process from time to time.

    It counts checks, not seconds, so that a pause of the service itself, or a jump of the clock, has no effect.
    """

    def __init__(self, pid: int, ask: Callable[[], None]) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._ask = ask
        self._answered = True
        self._quiet = 0

    @property
    def is_late(self) -> bool:
        return self._quiet >= _LATE

    def answered(self) -> None:
        self._answered = True
        self._quiet = 0

    async def lost(self, patience: float) -> None:
        """Return when the process has given no sign of work for `patience` seconds; without /proc, never."""
        ticks = self._ticks()
        while ticks is not None and self._quiet < _CHECKS:
            # One ping at a time: unread ones must not fill the socket.
            if self._answered:
                self._answered = False
                self._ask()
            await asyncio.sleep(patience / _CHECKS)
            before, ticks = ticks, self._ticks()
            self._quiet = 0 if self._answered or ticks != before else self._quiet + 1
        if ticks is None:
            await asyncio.Future()

    def _ticks(self) -> int | None:
        """Processor time, in the kernel's ticks."""
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return int(fields[11]) + int(fields[12])
