"""Moves the clock of one process and its descendants forward or back, with libfaketime if that is installed."""

from __future__ import annotations

from pathlib import Path


def clock_library() -> Path | None:
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


class Clock:
    """The time of day that a process sees. Durations are measured by the monotonic clock, which never jumps."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: float) -> None:
        """Set the clock to the true time plus `seconds`."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+f}\n")
        draft.replace(self._file)

    def env(self) -> dict[str, str]:
        library = clock_library()
        if library is None:
            return {}
        return {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
