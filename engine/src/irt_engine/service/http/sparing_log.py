"""Limits repeated log lines, because anyone can cause some of them without a token."""

from __future__ import annotations

import logging
import time

_SECONDS = 60.0
_MOST_KINDS = 1000

# Loggers whose lines can be caused without a token.
_LOGGERS = ("uvicorn.error", "asyncio", "irt_engine.service.http.connections", "irt_engine.service.refusals")


class Sparing(logging.Filter):
    """Passes one line of each kind per minute; the next line has the number of those left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = _kind(record), time.monotonic()
        last, left_out = self._seen.get(kind, (None, 0))
        if last is not None and now - last < _SECONDS:
            self._seen[kind] = (last, left_out + 1)
            return False
        if len(self._seen) >= _MOST_KINDS:
            self._seen.clear()
        self._seen[kind] = (now, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more were not logged)", ()
        return True


def install() -> None:
    sparing = Sparing()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(sparing)


def _kind(record: logging.LogRecord) -> tuple[object, ...]:
    """The text before its figures are filled in, and the origin of the exception, so that faults are told apart."""
    kind = (record.name, str(record.msg).partition("\n")[0])
    if not record.exc_info or not record.exc_info[2]:
        return kind
    trace = record.exc_info[2]
    while trace.tb_next:
        trace = trace.tb_next
    return *kind, record.exc_info[0], trace.tb_frame.f_code.co_filename, trace.tb_lineno
