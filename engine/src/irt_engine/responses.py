"""Responses as a sparse persons × items structure, one entry per answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from irt_engine.errors import InputError


@dataclass(frozen=True)
class Responses:
    """Answers in rows of persons (CSR); ids sorted, so the order of the input rows makes no difference.

    :param user_ids: P ids, sorted.
    :param item_ids: I ids, sorted.
    :param start: P + 1 positions: person p's answers are `start[p]:start[p + 1]`.
    :param item: N indices into `item_ids`, ascending within a person.
    :param correct: N answers, 0 or 1.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    start: np.ndarray
    item: np.ndarray
    correct: np.ndarray

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def from_columns(cls, user_id: Any, item_id: Any, is_correct: Any) -> Responses:
        """Build from three columns of the same length (lists, NumPy or Arrow arrays).

        :raise InputError: an id is missing, an answer is not true/false/1/0, or a person has two answers to an item.
        """
        users, user = _codes("user_id", user_id)
        items, item = _codes("item_id", item_id)
        correct = _answers(is_correct)
        if not len(user) == len(item) == len(correct):
            raise InputError("observations", [len(user), len(item), len(correct)], "columns differ in length")
        order = np.lexsort((item, user))
        user, item, correct = user[order], item[order], correct[order]
        repeated = int(np.count_nonzero((np.diff(user) == 0) & (np.diff(item) == 0)))
        if repeated:
            raise InputError("observations", repeated, "a user has more than one answer to an item; number of repeats")
        start = np.zeros(len(users) + 1, np.int64)
        np.cumsum(np.bincount(user, minlength=len(users)), out=start[1:])
        return cls(users, items, start, item.astype(np.int32), correct)

    @classmethod
    def from_table(cls, table: Any) -> Responses:
        """From an Arrow table or a pandas frame with columns user_id, item_id, is_correct."""
        names = ("user_id", "item_id", "is_correct")
        present = getattr(table, "column_names", None) or list(table.columns)
        for name in names:
            if name not in present:
                raise InputError("observations", list(present), f"the column {name} is missing")
        return cls.from_columns(*(table[name] for name in names))

    @classmethod
    def from_parquet(cls, path: str | Path) -> Responses:
        return cls.from_table(pq.read_table(path))

    def keep(self, users: np.ndarray, items: np.ndarray) -> Responses:
        """The responses of some persons to some items (boolean masks of length P and I)."""
        person = np.repeat(np.arange(len(self.user_ids)), np.diff(self.start))
        chosen = users[person] & items[self.item]
        number = np.cumsum(items) - 1
        counts = np.bincount(person[chosen], minlength=len(self.user_ids))[users]
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Responses(
            self.user_ids[users],
            self.item_ids[items],
            start,
            number[self.item[chosen]].astype(np.int32),
            self.correct[chosen],
        )


def _codes(name: str, column: Any) -> tuple[np.ndarray, np.ndarray]:
    """The sorted distinct ids, and each row's index into them."""
    array = column if isinstance(column, (pa.Array, pa.ChunkedArray)) else pa.array(column)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
    if array.null_count:
        row = pc.index(pc.is_null(array), True).as_py()
        raise InputError(f"observations[{row}].{name}", None, "is missing")
    if not pa.types.is_string(array.type):
        array = pc.cast(array, pa.string())
    encoded = array.dictionary_encode()
    ids = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(ids, kind="stable")
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    return ids[order], rank[encoded.indices.to_numpy()]


def _answers(column: Any) -> np.ndarray:
    values = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column
    if isinstance(values, pa.ChunkedArray):
        values = values.to_numpy()
    elif isinstance(values, list):
        # NumPy would turn a list with one string in it into strings altogether.
        values = np.array(values, dtype=object)
    values = np.asarray(values)
    if values.dtype == bool:
        return values.astype(np.uint8)
    wrong = [n for n, v in enumerate(values) if v is None or isinstance(v, str) or v not in (0, 1)]
    if wrong:
        raise InputError(f"observations[{wrong[0]}].is_correct", values[wrong[0]], "must be true, false, 1 or 0")
    return values.astype(np.uint8)
