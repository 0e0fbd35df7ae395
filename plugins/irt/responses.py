"""The responses of a run: reads attempts as Arrow batches, keeps one answer per user and item, writes Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timezone
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from airflow.sdk import ObjectStoragePath

from irt.run import Run

# Why an attempt cannot be used, in the order of its columns.
_REQUIRED = ("no_user", "no_item", "no_correctness")
_ROWS_AT_ONCE = 1_000_000
# The column of the responses that only the rule `changed` needs.
TIME = "responded_at"
_NEWEST_FIRST = [("completed_at", "descending"), ("id", "descending")]


def read_usable(reader: pa.RecordBatchReader) -> tuple[pa.Table, dict[str, Any]]:
    """Read a stream of attempts (the columns of attempts.sql).

    :return: the usable ones, with dictionary-encoded ids; and the counts: all attempts, those that lack a field (each
        counted once: without user first, then without item, then without correctness), and the time of the newest.
    """
    counts: dict[str, Any] = dict.fromkeys(("attempts", *_REQUIRED), 0)
    schema = pa.schema([_plain_field(field, encoded=n < 2) for n, field in enumerate(reader.schema)])
    batches = []
    for batch in prefetched(reader):
        counts["attempts"] += batch.num_rows
        for column, name in enumerate(_REQUIRED):
            if lacking := batch.column(column).null_count:
                counts[name] += lacking
                batch = batch.filter(batch.column(column).is_valid())
        columns = [getattr(column, "storage", column) for column in batch.columns]
        columns[:2] = [column.dictionary_encode() for column in columns[:2]]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    attempts = pa.Table.from_batches(batches, schema).unify_dictionaries().combine_chunks()
    newest = pc.max(attempts["completed_at"]).as_py()
    counts["last_answer_at"] = newest and f"{newest.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    return attempts, counts


def deduplicate(
    attempts: pa.Table, policy: str, most: int, most_of_user: int = 0, *, timed: bool = False
) -> tuple[pa.Table, dict[str, int]]:
    """Keep one answer per user and item, the first or the last (by time, then by attempt_no, then by id).

    :param most: keep at most this many, the most recent ones (by time, then by id); 0 is no limit.
    :param most_of_user: first keep at most this many of each user, likewise.
    :param timed: the responses have the time of the answer as well, `responded_at`.
    :return: the responses (user_id, item_id, is_correct) in the order of their ids; how many are left out; and how many
        users answered an item repeatedly, and both right and wrong (counted per user and item).
    """
    (users, user_ids), (items, item_ids) = (_ranked(attempts[name]) for name in ("student_id", "item_id"))
    pair, order = _sorted(users.astype(np.int64) * len(item_ids) + items)
    again = np.diff(pair, prepend=-1) == 0
    left_out = {"repeated": int(np.count_nonzero(again)), "pairs_repeated": 0, "pairs_disagree": 0}
    if again.any():
        in_doubt = again | np.append(again[1:], False)
        direction = "ascending" if policy == "first" else "descending"
        order[in_doubt] = _by_age(attempts, pair[in_doubt], order[in_doubt], direction)
        left_out |= _agreement(again[in_doubt], attempts["correct"].take(pa.array(order[in_doubt])))
    kept = order[~again]
    kept, of_users = _latest_of_each(attempts, users, kept, most_of_user)
    left_out |= of_users | {"over_limit": max(0, len(kept) - most) if most else 0}
    if left_out["over_limit"]:
        recent = attempts.select(["completed_at", "id"]).take(kept)
        kept = kept[np.sort(pc.select_k_unstable(recent, most, _NEWEST_FIRST))]
    coded = {"user_id": (users[kept], user_ids), "item_id": (items[kept], item_ids)}
    columns = {name: pa.DictionaryArray.from_arrays(*column) for name, column in coded.items()}
    named = {"is_correct": "correct"} | ({TIME: "completed_at"} if timed else {})
    return pa.table(columns | {name: attempts[source].take(kept) for name, source in named.items()}), left_out


def write_parquet(responses: pa.Table, file: Any) -> dict[str, int]:
    """Write responses to an open file, in their staged form.

    :return: the numbers of responses, users and items.
    """
    with pq.ParquetWriter(file, responses.schema, compression="zstd") as writer:
        for start in range(0, len(responses), _ROWS_AT_ONCE):
            writer.write_table(trim_dictionary(responses.slice(start, _ROWS_AT_ONCE)))
    users, items = (len(pc.unique(responses[name])) for name in ("user_id", "item_id"))
    return {"responses": len(responses), "users": users, "items": items}


def distinct_ids(path: ObjectStoragePath, column: str) -> set[str]:
    """The ids in a column (`user_id`, `item_id`) of staged responses."""
    found: set[str] = set()
    with path.open("rb") as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=[column]):
            found.update(pc.unique(batch.column(0)).to_pylist())
    return found


def below_minimum(run: Run, counts: dict[str, int]) -> str | None:
    """Why the bank has too few responses; None if it has enough."""
    if not counts["responses"]:
        return f"no usable answers in [{run.window_start}, {run.window_end})"
    for name in ("responses", "users", "items"):
        if counts[name] < run.minimum[name]:
            return f"{counts[name]} {name}, the bank's minimum is {run.minimum[name]}"
    return None


def trim_dictionary(part: pa.Table) -> pa.Table:
    """Keep only the part's own users (a contiguous range) in its dictionary, which is written with each part."""
    users = part["user_id"].chunk(0)
    first, last = pc.min_max(users.indices).as_py().values()
    own = pa.DictionaryArray.from_arrays(
        pc.subtract(users.indices, pa.scalar(first, pa.int32())), users.dictionary[first : last + 1]
    )
    return part.set_column(0, part.schema.field(0), own)


def prefetched(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches; the next one is read while one is processed."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, reader, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, reader, None)
            yield batch


def _plain_field(field: pa.Field, *, encoded: bool) -> pa.Field:
    """The field without PostgreSQL's extension type, so that Arrow can sort it (a uuid is 16 bytes)."""
    kind = getattr(field.type, "storage_type", field.type)
    return pa.field(field.name, pa.dictionary(pa.int32(), kind) if encoded else kind)


def _ranked(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """For each row the rank of its id; and the sorted ids as text, so that nothing depends on the order of the rows."""
    encoded = column.combine_chunks()
    by_id = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(by_id), np.int32)
    rank[by_id] = np.arange(len(by_id), dtype=np.int32)
    ids = encoded.dictionary.take(by_id)
    if pa.types.is_fixed_size_binary(ids.type):
        return rank[encoded.indices], pa.array([str(UUID(bytes=each)) for each in ids.to_pylist()], pa.string())
    return rank[encoded.indices], ids.cast(pa.string())


def _sorted(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorted numbers, and the row of each."""
    bits = len(pair).bit_length()
    if pair.max(initial=0) >> (63 - bits):
        rows = np.argsort(pair)
        return pair[rows], rows
    # Packed into one number, they sort several times faster.
    both = pair << bits | np.arange(len(pair))
    both.sort()
    return both >> bits, both & ((1 << bits) - 1)


def _by_age(attempts: pa.Table, pair: np.ndarray, rows: np.ndarray, direction: str) -> np.ndarray:
    """Rows of repeated pairs, sorted by pair, then by age."""
    by_age = ["completed_at", "attempt_no", "id"]
    repeated = attempts.select(by_age).take(rows).append_column("pair", [pair])
    sort_keys = [("pair", "ascending"), *((name, direction) for name in by_age)]
    sorted_rows: np.ndarray = rows[pc.sort_indices(repeated, sort_keys)]
    return sorted_rows


def _agreement(again: np.ndarray, correct: pa.ChunkedArray) -> dict[str, int]:
    """How many repeated pairs there are, and how many have right and wrong answers."""
    first = np.flatnonzero(~again)
    sizes = np.diff(np.append(first, len(again)))
    right = np.add.reduceat(correct.to_numpy().astype(np.int64), first)
    return {"pairs_repeated": len(first), "pairs_disagree": int(np.count_nonzero((right > 0) & (right < sizes)))}


def _latest_of_each(
    attempts: pa.Table, users: np.ndarray, kept: np.ndarray, most: int
) -> tuple[np.ndarray, dict[str, int]]:
    """Of the rows, which are sorted by user, at most this many of each user, the latest; 0 is no limit."""
    too_many = np.bincount(users[kept]) > most if most else np.zeros(0, bool)
    out = np.zeros(len(kept), bool)
    if too_many.any():
        rows = np.flatnonzero(too_many[users[kept]])
        part = attempts.select(["completed_at", "id"]).take(kept[rows]).append_column("user", [users[kept[rows]]])
        rows = rows[pc.sort_indices(part, [("user", "ascending"), *_NEWEST_FIRST])]
        user = users[kept[rows]]
        out[rows] = np.arange(len(rows)) - np.searchsorted(user, user) >= most
    return kept[~out], {"over_user_limit": int(out.sum()), "users_over_limit": int(too_many.sum())}
