"""Makes responses of attempts, shard by shard on two threads, and writes them to one Parquet file.

A shard is one row group of the file, or several if it is large. Its responses are sorted by user, then by item.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from irt.effort import effort_figures, knows_order, leave_out, wrong_throughout
from irt.extraction.attempts import Attempts
from irt.extraction.latest import Latest
from irt.groups import Groups
from irt.responses import TIME, deduplicate
from irt.run import Run

# Each shard in work takes memory, so there are no more of them on a machine with more processors.
_AT_ONCE = 2
_ROWS_AT_ONCE = 1_000_000

# Answers or responses of a shard, and counts of what was left out of them.
_Part = tuple[pa.Table, dict[str, int]]


def write_responses(attempts: Attempts, run: Run, groups: Groups | None, file: Any) -> dict[str, Any]:
    """Leave out what does not count as an answer, keep one response per user and item, and write the responses.

    :param groups: of the users, if the bank has groups.
    :param file: open for writing.
    :return: the numbers of responses, users and items; how many attempts each rule left out; figures for the checks.
    :raise BadDataError: a user is in several groups.
    :raise TransientError: the disk of the temporary folder is full; names the folder.
    """
    totals: Counter[str] = Counter(over_limit=0)
    staged = _Staged(file)
    with Latest(run.max_responses) as latest, ThreadPoolExecutor(_AT_ONCE) as pool:
        for responses, counts in _responses(attempts, run, groups, latest, pool):
            totals.update(counts)
            staged.add(responses)
        staged.close()
        totals["over_limit"] = latest.left_out
    named = groups.counts() if groups else {}
    return totals | staged.counts() | named


def _responses(
    attempts: Attempts, run: Run, groups: Groups | None, latest: Latest, pool: ThreadPoolExecutor
) -> Iterator[_Part]:
    """The responses of each shard."""
    shards = attempts.shards()

    def answers(shard: tuple[int, int]) -> _Part:
        return _answers(attempts.shard(shard), run)

    def finished(answered: pa.Table, counts: dict[str, int]) -> _Part:
        figures = wrong_throughout(answered, run.thresholds["min_judged_answers"])
        return _staged_form(answered, run, groups), counts | figures

    if not 0 < run.max_responses < attempts.usable:
        yield from _in_order(pool, lambda shard: finished(*answers(shard)), shards)
        return
    # Which responses are the latest is known only after the last shard.
    counts = []
    for answered, each in _in_order(pool, answers, shards):
        latest.add(answered)
        counts.append(each)
    latest.choose()
    yield from _in_order(pool, lambda n: finished(latest.read(n), counts[n]), range(len(shards)))


def _in_order(pool: ThreadPoolExecutor, work: Callable[[Any], _Part], shards: Iterable[Any]) -> Iterator[_Part]:
    """The results for all shards, one after another; as many are worked on ahead as there are threads."""
    ahead: deque[Any] = deque()
    for shard in shards:
        done = ahead.popleft().result() if len(ahead) == _AT_ONCE else None
        ahead.append(pool.submit(work, shard))
        if done:
            yield done
    while ahead:
        yield ahead.popleft().result()


def _answers(attempts: pa.Table, run: Run) -> _Part:
    """One answer per user and item."""
    counted, left_out = leave_out(attempts, run)
    figures = effort_figures(counted, run.thresholds["rapid_ms"], in_order=knows_order(run))
    more = ["completed_at", "id"] if run.max_responses else ["completed_at"] if run.looks_for_changes else []
    answers, repeats = deduplicate(counted, run.attempt_policy, run.max_answers_per_user, more=more)
    return answers, left_out | figures | repeats


def _staged_form(answers: pa.Table, run: Run, groups: Groups | None) -> pa.Table:
    columns = {name: answers[name] for name in ("user_id", "item_id", "is_correct")}
    if run.looks_for_changes:
        columns[TIME] = answers["completed_at"]
    responses = pa.table(columns)
    return groups.join(responses) if groups else responses


class _Staged:
    """The staged file, and the numbers of what is written to it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._writer: pq.ParquetWriter | None = None
        # All shards have the same dictionary of items.
        self._items: np.ndarray | bool = False
        self._responses = self._users = 0

    def add(self, responses: pa.Table) -> None:
        """:param responses: of users who have none in what was added before."""
        if self._writer is None:
            self._writer = _writer(self._file, responses.schema)
        for start in range(0, len(responses), _ROWS_AT_ONCE):
            self._writer.write_table(trim_dictionary(responses.slice(start, _ROWS_AT_ONCE)))
        if not len(responses):
            # Read from a temporary file, these have no dictionary.
            return
        self._responses += len(responses)
        self._users += len(pc.unique(responses["user_id"]))
        items = responses["item_id"].combine_chunks()
        self._items |= np.bincount(items.indices, minlength=len(items.dictionary)) > 0

    def close(self) -> None:
        """Write the end of the file."""
        if self._writer:
            self._writer.close()

    def counts(self) -> dict[str, int]:
        return {"responses": self._responses, "users": self._users, "items": int(np.count_nonzero(self._items))}


def _writer(file: Any, schema: pa.Schema) -> pq.ParquetWriter:
    encoded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    # Times hardly repeat, and nobody reads statistics of ids, which take longer to write than the ids.
    return pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=encoded, write_statistics=["is_correct"])


def trim_dictionary(part: pa.Table) -> pa.Table:
    """Keep only the part's own users (a contiguous range) in its dictionary, which is written with each part."""
    users = part["user_id"].chunk(0)
    first, last = pc.min_max(users.indices).as_py().values()
    own = pa.DictionaryArray.from_arrays(
        pc.subtract(users.indices, pa.scalar(first, pa.int32())), users.dictionary[first : last + 1]
    )
    return part.set_column(0, part.schema.field(0), own)
