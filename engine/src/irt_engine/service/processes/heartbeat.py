"""Whether another process still works: it answers, or at least uses processor time, as while it compiles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

# Looks within the patience, and those without a sign of work after which it counts as late.
_LOOKS, _LATE = 15, 5


class Heartbeat:
    """Asks a process for a sign now and then.

    It counts looks and not seconds, so that a service that was itself stopped, or a clock that jumps, blames nobody.
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
        """Return when the process has given no sign for `patience` seconds; where there is no /proc, never."""
        ticks = self._ticks()
        while ticks is not None and self._quiet < _LOOKS:
            # One question at a time: what nobody reads must not fill the socket.
            if self._answered:
                self._answered = False
                self._ask()
            await asyncio.sleep(patience / _LOOKS)
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
