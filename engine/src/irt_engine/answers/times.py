"""Times of answers."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irt_engine.errors import InputError

TIME = "responded_at"
NO_TIME = int(np.iinfo(np.int64).min)

# How str() of a Python client writes a time that is missing.
_NONE = "None"
_WRITTEN = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?"
    r" ?(?:Z|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?"
)
_SECOND = 1_000_000


def require_length(column: Any, n_answers: int) -> None:
    """:raise InputError: the column of times does not have one entry per answer."""
    if column is not None and len(column) != n_answers:
        raise InputError(f"observations.{TIME}", len(column), f"must have {n_answers} entries, one for each answer")


def read_times(column: Any, rows: np.ndarray, *, needed_for: str, first: int = 0) -> np.ndarray:
    """Times of some rows in microseconds since 1970, UTC, (len(rows),) int64; `NO_TIME` for a row without a time.

    :param column: timestamps, strings such as 2026-11-20 03:04:05.123456+00:00, or None.
    :param needed_for: why they are read, for the message.
    :param first: number of the column's first row, for the message.
    :raise InputError: naming a time that cannot be read.
    """
    if column is None:
        return np.full(rows.size, NO_TIME)
    array = column if isinstance(column, (pa.Array, pa.ChunkedArray)) else pa.array(column)
    array = array.take(pa.array(rows))
    if pa.types.is_timestamp(array.type):
        array = pc.cast(array, pa.timestamp("us", array.type.tz), safe=False).cast(pa.int64())
        times: np.ndarray = pc.fill_null(array, NO_TIME).to_numpy()
        return times.astype(np.int64)
    values = array.to_pylist()
    return np.array(
        [_microseconds(value, first + int(row), needed_for) for value, row in zip(values, rows, strict=True)], np.int64
    )


def written(microseconds: int) -> str:
    """A time in the format of RFC 3339, in UTC."""
    return f"{np.datetime_as_string(np.datetime64(microseconds, 'us'), unit='s')}Z"


def _microseconds(value: Any, row: int, needed_for: str) -> int:
    if value is None or value == _NONE:
        return NO_TIME
    match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is None:
            raise ValueError
        day = datetime.date.fromisoformat(match[1]).toordinal() - datetime.date(1970, 1, 1).toordinal()
    except ValueError:
        message = f"must be a date and time such as 2026-11-20 03:04:05.123456+00:00, null or the text {_NONE}, "
        raise InputError(f"observations[{row}].{TIME}", value, message + needed_for) from None
    _, hours, minutes, seconds, fraction, sign, zone_hours, zone_minutes = match.groups()
    zone = (int(zone_hours or 0) * 60 + int(zone_minutes or 0)) * (-1 if sign == "-" else 1)
    whole = ((day * 24 + int(hours)) * 60 + int(minutes) - zone) * 60 + int(seconds)
    return whole * _SECOND + int((fraction or "").ljust(6, "0")[:6])
