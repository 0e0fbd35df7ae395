"""Reads a stream of attempts: leaves out those that lack a field, and keeps the others by shard of users."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from irt.extraction.ids import Codes, hashes, ranked, sessions_of_users
from irt.extraction.spill import SHARD_ROWS, Spill

# Why an attempt cannot be used, in the order of its columns.
_REQUIRED = ("no_user", "no_item", "no_correctness")
# Batches of about 16 MB. With one, PostgreSQL would wait while a batch takes longer to process than to read.
_AHEAD = 2


class Attempts:
    """The usable attempts of a stream, in shards of users.

    :param reader: the columns of attempts.sql.
    :param without: columns that the run does not need.
    :param shard_rows: see `Spill`.
    """

    def __init__(
        self, reader: pa.RecordBatchReader, without: Collection[str] = (), shard_rows: int = SHARD_ROWS
    ) -> None:
        self._reader = reader
        fields = [_stored_field(field) for field in reader.schema if field.name not in without]
        self._schema = pa.schema(fields)
        self._codes = Codes(_plain_type(reader.schema.field("item_id").type))
        self._spill = Spill(self._schema, shard_rows)
        self.usable = 0

    def __enter__(self) -> Attempts:
        return self

    def __exit__(self, *_: Any) -> None:
        self._spill.close()

    def read(self) -> dict[str, Any]:
        """Read the stream to its end.

        :return: the counts: all attempts, those that lack a field (each counted once: without user first, then without
            item, then without correctness), and the time of the newest usable one.
        :raise TransientError: the disk of the temporary folder is full; names the folder.
        """
        counts: dict[str, Any] = dict.fromkeys(("attempts", *_REQUIRED), 0)
        newest: list[datetime] = []
        for batch in _prefetched(self._reader):
            counts["attempts"] += batch.num_rows
            for column, name in enumerate(_REQUIRED[:2]):
                if lacking := batch.column(column).null_count:
                    counts[name] += lacking
                    batch = batch.filter(batch.column(column).is_valid())
            counts["no_correctness"] += batch["correct"].null_count
            if batch["correct"].null_count < len(batch):
                newest.append(self._keep(batch, batch["correct"].is_valid()))
        counts["last_answer_at"] = _moment(max(newest)) if newest else None
        return counts

    def shards(self) -> list[tuple[int, int]]:
        """The shards, as `shard` takes them; at least one, which may be empty."""
        # Text of ids, sorted, and the same for all shards.
        self._rank, self.items = self._codes.ranks()
        return self._spill.shards()

    def shard(self, place: tuple[int, int]) -> pa.Table:
        """The attempts of a shard, with dictionary-encoded ids; the dictionaries are sorted texts."""
        table = self._spill.read(*place)
        columns = dict(zip(table.column_names, (column.combine_chunks() for column in table.columns)))
        columns["student_id"] = ranked(columns["student_id"])
        columns["item_id"] = pa.DictionaryArray.from_arrays(self._rank[columns["item_id"]], self.items)
        none = pc.equal(columns["session"], 0)
        columns["session"] = pc.if_else(none, None, columns["session"]) if pc.any(none).as_py() else columns["session"]
        return pa.table(columns)

    def _keep(self, batch: pa.RecordBatch, usable: pa.Array) -> datetime:
        """Returns the time of the newest of the usable ones."""
        columns = {name: getattr(column, "storage", column) for name, column in zip(batch.schema.names, batch.columns)}
        users = hashes(columns["student_id"])
        columns["item_id"] = self._codes.encode(columns["item_id"])
        columns["session"] = sessions_of_users(columns["session"], users)
        if "hint_used" in self._schema.names:
            columns["hint_used"] = pc.fill_null(columns["hint_used"], False)
        kept = pa.RecordBatch.from_arrays([columns[name] for name in self._schema.names], schema=self._schema)
        self._spill.add(kept, users, usable.to_numpy(zero_copy_only=False))
        self.usable += usable.true_count
        newest: datetime = pc.max(columns["completed_at"].filter(usable)).as_py()
        return newest


def _prefetched(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches; the next ones are read while one is processed."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, reader, None) for _ in range(_AHEAD))
        # Arrow imports pandas before it makes its first scalar, which takes as long as the first batch.
        pa.scalar(0)
        while (batch := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, reader, None))
            yield batch


def _moment(time: datetime) -> str:
    return f"{time.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def _stored_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, pa.int32() if field.name == "item_id" else _plain_type(field.type))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without PostgreSQL's extension type, so that Arrow can sort it (a uuid is 16 bytes)."""
    return getattr(kind, "storage_type", kind)
