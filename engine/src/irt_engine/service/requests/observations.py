"""The observations of a JSON request, as rows or as columns, converted to checked columns.

By hand, column by column: half a million rows as pydantic models take seven times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from irt_engine.answers.groups import GROUP as _GROUP
from irt_engine.answers.times import TIME as _TIME
from irt_engine.service.problems import MAX_ERRORS, invalid, invalid_field, too_large

COLUMNS = ("user_id", "item_id", "is_correct")
_EXACT_INTEGERS = range(-(2**63), 2**64)
_EXACT_FLOAT = 2**53

Place = Callable[[str, int], str]


@dataclass(frozen=True)
class Observations:
    """One entry per answer: `user_id` and `item_id` are strings, `is_correct` is 0 or 1.

    `responded_at` are strings and None, or empty; `group` are strings, or empty.
    """

    user_id: Sequence[str]
    item_id: Sequence[str]
    is_correct: np.ndarray
    responded_at: Sequence[str | None] = ()
    group: Sequence[str] = ()

    @classmethod
    def from_json(cls, value: Any, max_rows: int, where: str = "observations") -> Observations:
        """Check what a client sent as `observations`, or as another field, `where`.

        :raise Problem: 413 for more than `max_rows`; 422 naming the first values that are wrong.
        """
        if isinstance(value, list):
            place = _row_place(where)
            columns = _from_rows(value, max_rows, place)
        elif isinstance(value, dict):
            columns, place = _from_columns(value, max_rows), _column_place
        else:
            raise invalid_field("observations", "must be an array of rows or an object of columns")
        if not columns["user_id"]:
            raise invalid_field("observations", "must hold at least one answer")
        errors = Errors()
        observations = cls(
            _ids("user_id", columns["user_id"], place, errors),
            _ids("item_id", columns["item_id"], place, errors),
            _correct(columns["is_correct"], place, errors),
            columns[_TIME],
            _ids(_GROUP, columns[_GROUP], place, errors),
        )
        _check_times(columns[_TIME], place, errors)
        errors.raise_if_any()
        return observations

    def to_arrow(self, *, times: bool = False) -> pa.Table:
        columns = {
            "user_id": pa.array(self.user_id, pa.string()),
            "item_id": pa.array(self.item_id, pa.string()),
            "is_correct": pa.array(self.is_correct),
        }
        if times and self.responded_at:
            columns[_TIME] = pa.array(self.responded_at, pa.string())
        if self.group:
            columns[_GROUP] = pa.array(self.group, pa.string())
        return pa.table(columns)


def check_row_count(rows: int, max_rows: int) -> None:
    """:raise Problem: 413 if there are more rows than the service accepts."""
    if rows > max_rows:
        raise too_large(f"There may be at most {max_rows:,} observations; the request has {rows:,}.")


@dataclass
class Errors:
    """Counts all errors and keeps the first: half a million wrong rows are one mistake of a client."""

    count: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, message: str, **value: Any) -> None:
        self.count += 1
        if len(self.first) < MAX_ERRORS:
            self.first.append({"field": name, **value, "message": message})

    def add_where(
        self, values: list[Any], wrong: Callable[[Any], bool], place: Callable[[int], str], message: str
    ) -> None:
        for index, value in enumerate(values):
            if wrong(value):
                self.add(place(index), message, value=value)

    def raise_if_any(self) -> None:
        """:raise Problem: 422 with the first errors and their number."""
        if self.count:
            message = f"{self.first[0]['field']}: {self.first[0]['message']}"
            more = f" ({self.count} such errors; the first {MAX_ERRORS} are listed)"
            raise invalid(message + more if self.count > MAX_ERRORS else message, self.first)


def _row_place(where: str) -> Place:
    return lambda column, index: f"{where}[{index}].{column}"


def _column_place(column: str, index: int) -> str:
    return f"observations.{column}[{index}]"


def _from_rows(rows: list[Any], max_rows: int, place: Place) -> dict[str, list[Any]]:
    check_row_count(len(rows), max_rows)
    try:
        columns = {name: [row[name] for row in rows] for name in COLUMNS}
        groups = [row.get(_GROUP) for row in rows]
        # Rows without groups may have explicit nulls.
        known = groups if any(group is not None for group in groups) else []
        return columns | {_TIME: [row.get(_TIME) for row in rows], _GROUP: known}
    except (TypeError, KeyError, AttributeError):
        _refuse_rows(rows, place)
        raise


def _refuse_rows(rows: list[Any], place: Place) -> None:
    errors = Errors()
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            errors.add(f"observations[{index}]", "must be an object", value=row)
            continue
        for name in COLUMNS:
            if name not in row:
                errors.add(place(name, index), "is missing")
    errors.raise_if_any()


def _from_columns(columns: dict[str, Any], max_rows: int) -> dict[str, list[Any]]:
    errors = Errors()
    for name in COLUMNS:
        if not isinstance(columns.get(name), list):
            errors.add(f"observations.{name}", "must be an array")
    further = {name: columns.get(name) for name in (_TIME, _GROUP)}
    for name, values in further.items():
        if not isinstance(values, (list, type(None))):
            errors.add(f"observations.{name}", "must be an array")
    errors.raise_if_any()
    found = {name: columns[name] for name in COLUMNS}
    lengths = {name: len(values) for name, values in found.items()}
    lengths |= {name: len(values) for name, values in further.items() if values is not None}
    if len(set(lengths.values())) > 1:
        details = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise invalid_field("observations", f"the columns differ in length: {details}")
    check_row_count(lengths["user_id"], max_rows)
    return found | {name: values or [] for name, values in further.items()}


def _ids(column: str, values: list[Any], place: Place, errors: Errors) -> list[Any]:
    # Nearly every request has only strings; checking the set of types saves a test per answer.
    if set(map(type, values)) == {str} and "" not in values:
        return values
    written = [_written_id(value) for value in values]
    if None in written:
        message = "must be a string that is not empty, or an integer"
        errors.add_where(values, lambda value: _written_id(value) is None, lambda i: place(column, i), message)
    return written


def _written_id(value: Any) -> str | None:
    """An id as a string; None if it is not valid. Numbers are valid only if all JSON readers agree on their digits."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if value in _EXACT_INTEGERS else None
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_FLOAT:
        return str(int(value))
    return None


def _correct(values: list[Any], place: Place, errors: Errors) -> np.ndarray:
    if set(map(type, values)) <= {bool, int, float} and set(values) <= {0, 1}:
        return np.fromiter(values, dtype=np.int8, count=len(values))
    message = "must be true, false, 1 or 0"
    errors.add_where(values, lambda value: not is_correctness(value), lambda i: place("is_correct", i), message)
    return np.empty(0, dtype=np.int8)


def is_correctness(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and value in (0, 1)


def _check_times(values: list[Any], place: Place, errors: Errors) -> None:
    """The time of an answer does not affect the estimation; only its type is checked."""
    if not set(map(type, values)) <= {str, type(None)}:
        message = "must be a date and time as a string, or null"
        errors.add_where(values, lambda v: not isinstance(v, (str, type(None))), lambda i: place(_TIME, i), message)
