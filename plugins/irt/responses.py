"""The responses of a run: one answer per user and item, and what is staged of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from airflow.sdk import ObjectStoragePath

from irt.run import Run

# The column of the responses that only the rule `changed` needs.
TIME = "responded_at"
_NEWEST_FIRST = [("completed_at", "descending"), ("id", "descending")]


def deduplicate(
    attempts: pa.Table, policy: str, most_of_user: int = 0, *, more: Sequence[str] = ()
) -> tuple[pa.Table, dict[str, int]]:
    """Keep one answer per user and item, the first or the last (by time, then by attempt_no, then by id).

    :param attempts: student_id and item_id dictionary-encoded, the dictionaries sorted; attempt_no may be missing.
    :param most_of_user: keep at most this many of each user, the most recent ones (by time, then by id); 0 is no limit.
    :param more: columns to keep besides user_id, item_id and is_correct.
    :return: the responses in the order of their ids; how many are left out; and how many users answered an item
        repeatedly, and both right and wrong (counted per user and item).
    """
    user_ids, item_ids = (attempts[name].combine_chunks() for name in ("student_id", "item_id"))
    users, items = user_ids.indices.to_numpy(), item_ids.indices.to_numpy()
    pair, order = _sorted(users.astype(np.int64) * len(item_ids.dictionary) + items)
    again = np.diff(pair, prepend=-1) == 0
    left_out = {"repeated": int(np.count_nonzero(again)), "pairs_repeated": 0, "pairs_disagree": 0}
    if again.any():
        in_doubt = again | np.append(again[1:], False)
        direction = "ascending" if policy == "first" else "descending"
        order[in_doubt] = _by_age(attempts, pair[in_doubt], order[in_doubt], direction)
        left_out |= _agreement(again[in_doubt], attempts["correct"].take(pa.array(order[in_doubt])))
    kept, of_users = _latest_of_each(attempts, users, order[~again], most_of_user)
    coded = {"user_id": (users[kept], user_ids.dictionary), "item_id": (items[kept], item_ids.dictionary)}
    columns = {name: pa.DictionaryArray.from_arrays(*column) for name, column in coded.items()}
    columns["is_correct"] = attempts["correct"].take(kept)
    return pa.table(columns | {name: attempts[name].take(kept) for name in more}), left_out | of_users


def distinct_ids(path: ObjectStoragePath, column: str) -> set[str]:
    """The ids in a column (`user_id`, `item_id`) of staged responses."""
    return set(staged_ids(path, column)[column].to_pylist())


def staged_ids(path: ObjectStoragePath, *columns: str) -> dict[str, pa.ChunkedArray]:
    """The ids in some columns of staged responses; those in several row groups come several times."""
    found: dict[str, list[pa.Array]] = {column: [] for column in columns}
    with path.open("rb") as file:
        # Ids that repeat stay encoded: as texts, they would take most of the time and memory.
        staged = pq.ParquetFile(file, read_dictionary=list(columns))
        for group in range(staged.num_row_groups):
            table = staged.read_row_group(group, columns=list(columns))
            for column in columns:
                found[column] += [each.dictionary.take(pc.unique(each.indices)) for each in table[column].chunks]
    return {column: pa.chunked_array(ids, pa.string()) for column, ids in found.items()}


def below_minimum(run: Run, counts: dict[str, int]) -> str | None:
    """Why the bank has too few responses; None if it has enough."""
    if not counts["responses"]:
        return f"no usable answers in [{run.window_start}, {run.window_end})"
    for name in ("responses", "users", "items"):
        if counts[name] < run.minimum[name]:
            return f"{counts[name]} {name}, the bank's minimum is {run.minimum[name]}"
    return None


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
    by_age = [name for name in ("completed_at", "attempt_no", "id") if name in attempts.column_names]
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
