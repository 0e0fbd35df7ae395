"""Repeated answers: of those that a user gave to one item, the first or the last counts."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irt_engine.contract.names import LAST
from irt_engine.errors import InputError

TIME = "responded_at"

_NO_TIME = np.iinfo(np.int64).min
# How str() of a Python client writes a time that is missing.
_NONE = "None"
_WRITTEN = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?"
    r" ?(?:Z|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?"
)
_SECOND = 1_000_000


def kept_rows(users: np.ndarray, items: np.ndarray, responded_at: Any, policy: str) -> np.ndarray | None:
    """Which answers count where a user has several to an item.

    The first and the last are so by time; equal times go by their position, and so does a pair any of whose answers
    has no time.

    :param users, items: numbers of n answers, (n,) each.
    :param responded_at: column of n times or strings, or None.
    :param policy: `first` or `last`.
    :return: a mask (n,), or None where nothing is repeated.
    :raise InputError: naming a time of a repeated answer that cannot be read.
    """
    if responded_at is not None and len(responded_at) != users.size:
        raise InputError(
            f"observations.{TIME}", len(responded_at), f"must have {users.size} entries, one for each answer"
        )
    pair = users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items
    order = np.argsort(pair, kind="stable")
    again = np.diff(pair[order], prepend=-1) == 0
    if not again.any():
        return None
    rows = np.sort(order[again | np.append(again[1:], False)])
    _, group = np.unique(pair[rows], return_inverse=True)
    times = _times(responded_at, rows)
    without = np.bincount(group, times == _NO_TIME) > 0
    times = np.where(without[group], 0, times)
    by_time = np.lexsort((rows, times, group))
    ends = np.diff(group[by_time], append=-1) if policy == LAST else np.diff(group[by_time], prepend=-1)
    kept = np.ones(pair.size, bool)
    kept[rows] = False
    kept[rows[by_time[ends != 0]]] = True
    return kept


def _times(column: Any, rows: np.ndarray) -> np.ndarray:
    """Times of some rows in microseconds since 1970, UTC, (len(rows),) int64; `_NO_TIME` for a row without a time."""
    if column is None:
        return np.full(rows.size, _NO_TIME)
    array = column if isinstance(column, (pa.Array, pa.ChunkedArray)) else pa.array(column)
    array = array.take(pa.array(rows))
    if pa.types.is_timestamp(array.type):
        array = pc.cast(array, pa.timestamp("us", array.type.tz), safe=False).cast(pa.int64())
        times: np.ndarray = pc.fill_null(array, int(_NO_TIME)).to_numpy()
        return times.astype(np.int64)
    values = array.to_pylist()
    return np.array([_microseconds(value, int(row)) for value, row in zip(values, rows, strict=True)], np.int64)


def _microseconds(value: Any, row: int) -> int:
    if value is None or value == _NONE:
        return int(_NO_TIME)
    found = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    try:
        if found is None:
            raise ValueError
        day = datetime.date.fromisoformat(found[1]).toordinal() - datetime.date(1970, 1, 1).toordinal()
    except ValueError:
        message = f"must be a date and time such as 2026-11-20 03:04:05.123456+00:00, null or the text {_NONE}, "
        message += "since the answer is repeated and options.repeats goes by it"
        raise InputError(f"observations[{row}].{TIME}", value, message) from None
    _, hours, minutes, seconds, fraction, sign, zone_hours, zone_minutes = found.groups()
    zone = (int(zone_hours or 0) * 60 + int(zone_minutes or 0)) * (-1 if sign == "-" else 1)
    whole = ((day * 24 + int(hours)) * 60 + int(minutes) - zone) * 60 + int(seconds)
    return whole * _SECOND + int((fraction or "").ljust(6, "0")[:6])
