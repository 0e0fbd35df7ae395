"""Reads answers from Parquet files batch by batch, so that only their compact form is held whole.

Two passes: the first learns the users and how many answers each has, the second puts each answer in its place. Any
division into files, row groups and batches gives the same `Responses`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from irt_engine.answers.columns import COLUMNS, is_text, read_right, require_columns
from irt_engine.answers.groups import GROUP, GroupsOfUsers
from irt_engine.answers.ids import Encoded, encode, merge
from irt_engine.answers.large import large_empty
from irt_engine.answers.times import TIME, read_times
from irt_engine.errors import InputError
from irt_engine.kernels import rows
from irt_engine.kernels.threads import run

_ROWS_AT_ONCE = 1 << 20
_IDS = (*COLUMNS[:2], GROUP)
_NEEDED = "since verdicts.changed goes by it"


@dataclass(frozen=True)
class Rows:
    """Answers by person (see `Responses`); `surplus` (N,): how many answers repeat another."""

    user_ids: pa.Array
    item_ids: list[str]
    offsets: np.ndarray
    codes: np.ndarray
    surplus: np.ndarray
    group_ids: list[str] | None
    group: np.ndarray | None
    times: np.ndarray | None


def read_rows(sources: Sequence[Any], *, timed: bool, grouped: bool) -> Rows:
    """Read all answers.

    :param sources: paths or open files with the columns of `Responses.from_table`.
    :param timed: whether to read their times.
    :param grouped: whether the files have a column group.
    :raise InputError: as `Responses.from_table`.
    :raise pa.ArrowException, OSError: a file is no Parquet file, or damaged.
    """
    users, groups = _Users(), GroupsOfUsers()
    for first, batch in _batches(sources, [COLUMNS[0], *([GROUP] if grouped else [])]):
        found = users.add(batch, first)
        if grouped:
            groups.add(found, batch.column(GROUP), first)
    user_ids, places, offsets = users.merged()
    group_ids, group = groups.merged(user_ids, places) if grouped else (None, None)
    filled = _Filled(offsets, timed)
    read = [*COLUMNS, *([TIME] if timed else [])]
    for (first, batch), place in zip(_batches(sources, read), places, strict=True):
        filled.add(batch, first, place)
    item_ids, surplus = filled.finish()
    return Rows(user_ids, item_ids, offsets, filled.codes, surplus, group_ids, group, filled.times)


def common_columns(sources: Sequence[Any]) -> list[str]:
    """The columns of the files.

    :raise InputError: a file lacks a column, has one twice, or has other ones than the first.
    """
    names: list[str] = []
    for number, source in enumerate(sources):
        found = pq.read_schema(source).names
        require_columns(found)
        if number and {GROUP, TIME} & set(found) != {GROUP, TIME} & set(names):
            message = f"file {number + 1} of {len(sources)} has the columns {found}, the first {names}"
            raise InputError("observations", found, message)
        names = names or found
    return names


def read_whole(sources: Sequence[Any], columns: list[str]) -> pa.Table:
    """All rows of the files."""
    tables = [pa.Table.from_batches([batch]) for batch in _all_batches(sources, columns)]
    return pa.concat_tables(tables, promote_options="permissive") if tables else pq.read_table(sources[0])


class _Users:
    """The first pass: distinct users of each batch, and how many answers each has in it."""

    def __init__(self) -> None:
        self._ids: list[pa.Array] = []
        self._counts: list[np.ndarray] = []

    def add(self, batch: pa.RecordBatch, first: int) -> Encoded:
        found = encode(COLUMNS[0], batch.column(COLUMNS[0]), first)
        self._ids.append(found.ids)
        self._counts.append(np.bincount(found.codes, minlength=len(found.ids)).astype(np.int32))
        return found

    def merged(self) -> tuple[pa.Array, list[np.ndarray], np.ndarray]:
        """All users, sorted; for each batch the number of each of its users; and the offsets (N + 1,) int64."""
        user_ids, places = merge(self._ids)
        self._ids.clear()
        offsets = np.zeros(len(user_ids) + 1, np.int64)
        for place, counts in zip(places, self._counts, strict=True):
            # A batch's users are distinct.
            offsets[place + 1] += counts
        np.cumsum(offsets, out=offsets)
        return user_ids, places, offsets


class _Filled:
    """The second pass: the answers by person. Items are numbered as they come, and at the end in the order of their
    ids."""

    def __init__(self, offsets: np.ndarray, timed: bool) -> None:
        self._offsets, self._cursor = offsets, offsets[:-1].copy()
        self._number: dict[str, int] = {}
        n = int(offsets[-1])
        self.codes = large_empty(n, np.int32)
        self.times = large_empty(n, np.int64) if timed else None

    def add(self, batch: pa.RecordBatch, first: int, place: np.ndarray) -> None:
        """:param place: number of each of the batch's users."""
        users = encode(COLUMNS[0], batch.column(COLUMNS[0]), first)
        items = encode(COLUMNS[1], batch.column(COLUMNS[1]), first)
        right = read_right(COLUMNS[2], batch.column(COLUMNS[2]), first)
        numbers = [self._number.setdefault(item, len(self._number)) for item in items.ids.to_pylist()]
        item = np.array(numbers, np.int32)
        if self.times is None:
            rows.place_rows(users.codes, place, items.codes, item, right, self._cursor, self.codes)
            return
        every = np.arange(batch.num_rows)
        given = read_times(batch.column(TIME), every, needed_for=_NEEDED, first=first)
        rows.place_timed_rows(users.codes, place, items.codes, item, right, given, self._cursor, self.codes, self.times)

    def finish(self) -> tuple[list[str], np.ndarray]:
        """The item ids, sorted; and how many answers of each person repeat another, (N,) int32."""
        ids, codes, offsets = list(self._number), self.codes, self._offsets
        order = sorted(range(len(ids)), key=ids.__getitem__)
        rank = np.empty(len(ids), np.int32)
        rank[order] = np.arange(len(ids), dtype=np.int32)
        if (np.diff(rank) < 0).any():
            run(rows.renumber, codes, rank, work=2.0 * codes.size)
        surplus = np.empty(offsets.size - 1, np.int32)
        if self.times is None:
            run(rows.sort_rows, offsets, codes, surplus, work=20.0 * codes.size)
        else:
            run(rows.sort_timed_rows, offsets, codes, self.times, surplus, work=20.0 * codes.size)
        return [ids[i] for i in order], surplus


def _batches(sources: Sequence[Any], columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batches of all files, each with the number of its first row; the next is read while one is used."""
    first = 0
    with closing(_all_batches(sources, columns)) as coming, ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, coming, None)
        while (batch := following.result()) is not None:
            following = pool.submit(next, coming, None)
            yield first, batch
            first += batch.num_rows


def _all_batches(sources: Sequence[Any], columns: list[str]) -> Generator[pa.RecordBatch, None, None]:
    for source in sources:
        # Ids that repeat are kept once, which for long ids is most of the memory.
        schema = pq.read_schema(source)
        text = [name for name in _IDS if name in columns and is_text(schema.field(name).type)]
        file = pq.ParquetFile(source, read_dictionary=text)
        yield from file.iter_batches(_ROWS_AT_ONCE, columns=columns)
