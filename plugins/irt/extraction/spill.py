"""Attempts in buckets of users: in memory while they are few, then in a temporary file, bucket by bucket.

A user's attempts are all in one bucket, which depends only on the id. Buckets are joined to shards by the number of
attempts in each; so the same attempts make the same shards, in whatever order they come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from irt.extraction.scratch import Scratch

_BITS = 10
BUCKETS = 1 << _BITS
# An attempt takes about 60 bytes in memory, and twice that while its shard is worked on.
SHARD_ROWS = 300_000


class Spill:
    """Collects batches of attempts, and gives them back by shard.

    :param schema: columns of fixed width or text; NULLs come back as some value.
    :param shard_rows: a shard has at most this many attempts, unless a single bucket has more.
    """

    def __init__(self, schema: pa.Schema, shard_rows: int = SHARD_ROWS) -> None:
        self._schema, self._most = schema, shard_rows
        self._waiting: list[tuple[pa.RecordBatch, np.ndarray]] = []
        self._n_waiting = 0
        self._file: Scratch | None = None
        self._runs: list[_Run] = []

    def add(self, batch: pa.RecordBatch, hashed: np.ndarray, usable: np.ndarray) -> None:
        """Take a batch.

        :param hashed: the hash of each row's user, (n,) uint64.
        :param usable: the rows to take, (n,) bool.
        :raise TransientError: the disk of the temporary folder is full; names the folder.
        """
        buckets = (hashed >> np.uint64(64 - _BITS)).astype(np.uint16)
        order = np.argsort(buckets, kind="stable")
        order = order[usable[order]]
        starts = np.append(0, np.cumsum(np.bincount(buckets[usable], minlength=BUCKETS)))
        self._waiting.append((batch.take(pa.array(order)), starts))
        self._n_waiting += len(order)
        # Nothing is written for a bank that fits into one shard.
        if self._runs or self._n_waiting > self._most:
            for each in self._waiting:
                self._write(*each)
            self._waiting = []

    def shards(self) -> list[tuple[int, int]]:
        """The buckets of each shard, [first, end). There is at least one shard, which may be empty."""
        if not self._runs:
            return [(0, BUCKETS)]
        ends = np.sum([run.starts for run in self._runs], axis=0)
        found, first = [], 0
        for bucket in range(1, BUCKETS):
            if ends[bucket + 1] - ends[first] > self._most and ends[bucket] > ends[first]:
                found.append((first, bucket))
                first = bucket
        return [*found, (first, BUCKETS)]

    def read(self, first: int, end: int) -> pa.Table:
        """The attempts of a shard; several threads may read at once."""
        if self._file is None:
            return pa.Table.from_batches([batch for batch, _ in self._waiting], self._schema).combine_chunks()
        columns = []
        for n, field in enumerate(self._schema):
            parts = [(run.columns[n], int(run.starts[first]), int(run.starts[end])) for run in self._runs]
            read = _read_texts if pa.types.is_string(field.type) else _read_fixed
            columns.append(read(self._file, parts, field.type))
        return pa.table(columns, schema=self._schema)

    def close(self) -> None:
        """Give memory and disk back."""
        self._waiting = []
        if self._file:
            self._file.close()

    def _write(self, batch: pa.RecordBatch, starts: np.ndarray) -> None:
        self._file = self._file or Scratch()
        self._runs.append(_Run(starts, [_append(self._file, column) for column in batch.columns]))


@dataclass(frozen=True)
class _Column:
    """Where a column of a run is: its place in the file and the bytes of a value.

    :ivar ends: of texts, which are bytes: where those of each value begin, and the last ones end, (n + 1,).
    """

    place: int
    width: int
    ends: _Column | None = None


@dataclass(frozen=True)
class _Run:
    """A batch as it was written, sorted by bucket; `starts` is where each bucket begins, (BUCKETS + 1,)."""

    starts: np.ndarray
    columns: list[_Column]


# Values [first, end) of a column.
_Part = tuple[_Column, int, int]


def _append(file: Scratch, column: pa.Array) -> _Column:
    """Write a column, which is no slice of a longer one."""
    if pa.types.is_string(column.type):
        _, ends, text = column.buffers()
        stored = _Column(file.append(memoryview(ends)[: 4 * (len(column) + 1)]), 4)
        return _Column(file.append(text or b""), 1, stored)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    width = column.type.bit_width // 8
    return _Column(file.append(memoryview(column.buffers()[1])[: len(column) * width]), width)


def _read_fixed(file: Scratch, parts: list[_Part], kind: pa.DataType) -> pa.Array:
    width = parts[0][0].width
    sizes = [end - first for _, first, end in parts]
    whole = np.empty(sum(sizes) * width, np.uint8)
    places = np.cumsum([0, *sizes]) * width
    for place, part in zip(places, parts):
        _get(file, part, whole[place:])
    stored = pa.uint8() if pa.types.is_boolean(kind) else kind
    return pa.Array.from_buffers(stored, sum(sizes), [None, pa.py_buffer(whole)]).cast(kind)


def _read_texts(file: Scratch, parts: list[_Part], kind: pa.DataType) -> pa.Array:
    found = []
    for column, first, end in parts:
        ends = np.empty(end - first + 1, np.int32)
        _get(file, (column.ends or column, first, end + 1), ends.view(np.uint8))
        text = np.empty(int(ends[-1] - ends[0]), np.uint8)
        _get(file, (column, int(ends[0]), int(ends[-1])), text)
        found.append(pa.StringArray.from_buffers(end - first, pa.py_buffer(ends - ends[0]), pa.py_buffer(text)))
    return pa.concat_arrays(found)


def _get(file: Scratch, part: _Part, into: np.ndarray) -> None:
    """Read values to the beginning of an array of bytes."""
    column, first, end = part
    file.read(column.place + first * column.width, into.data[: (end - first) * column.width])
