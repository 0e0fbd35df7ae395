"""Of repeated answers, the first or the last counts, compared with a plain loop."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from irt_engine import InputError, Responses
from irt_engine.answers.repeats import kept_rows

UTC = datetime.timezone.utc
START = datetime.datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)


def by_loop(users, items, times, policy) -> list[int]:
    """Rows that count; `times` are datetimes or None."""
    pairs: dict[tuple[int, int], list[int]] = {}
    for row, pair in enumerate(zip(users, items, strict=True)):
        pairs.setdefault(pair, []).append(row)
    kept = []
    for rows in pairs.values():
        timed = all(times[row] is not None for row in rows)
        ordered = sorted(rows, key=lambda row: (times[row] if timed else START, row))
        kept.append(ordered[0 if policy == "first" else -1])
    return sorted(kept)


def zone(hours: int) -> datetime.timezone:
    return datetime.timezone(datetime.timedelta(hours=hours))


@pytest.mark.parametrize("policy", ["first", "last"])
@pytest.mark.parametrize("form", ["text", "timestamps"])
def test_as_a_loop_has_it(policy, form):
    rng = np.random.default_rng(4)
    users, items = rng.integers(30, size=600), rng.integers(12, size=600)
    moments = [
        None if rng.random() < 0.05 else START + datetime.timedelta(seconds=int(rng.integers(40)) / 4) for _ in users
    ]
    written = [
        ("None" if rng.random() < 0.5 else None) if moment is None
        else moment.astimezone(zone(int(rng.integers(-9, 9)))).isoformat(" " if rng.random() < 0.5 else "T")
        for moment in moments
    ]  # fmt: skip
    column = written if form == "text" else pa.array(moments, pa.timestamp("ns", "Asia/Seoul"))
    kept = kept_rows(users, items, column, policy)
    assert np.flatnonzero(kept).tolist() == by_loop(users.tolist(), items.tolist(), moments, policy)


def test_nothing_repeated_needs_no_times():
    assert kept_rows(np.array([0, 1]), np.array([0, 0]), ["?", "?"], "first") is None
    none = np.empty(0, np.int64)
    assert kept_rows(none, none, None, "first") is None


def test_responses_count_what_was_left_out():
    columns = ["a", "a", "a", "b"], ["q", "q", "r", "q"], [1, 0, 0, 1]
    first, last = (Responses.from_columns(*columns, repeats=policy) for policy in ("first", "last"))
    assert (first.n_repeats_dropped, last.n_repeats_dropped) == (1, 1)
    assert (first.codes.tolist(), last.codes.tolist()) == ([1, 2, 1], [0, 2, 1])
    kept = first.select(np.array([True, False]), np.array([True, True]))
    assert kept.n_repeats_dropped == 1


def test_times_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"responded_at: must have 2 entries"):
        Responses.from_columns(["a", "a"], ["q", "q"], [1, 0], responded_at=["None"], repeats="first")


def test_a_file_is_read_with_its_times(tmp_path):
    import pyarrow.parquet as pq

    times = ["2026-11-20 03:04:06Z", "2026-11-20 03:04:05Z"]
    table = pa.table({"user_id": ["a", "a"], "item_id": ["q", "q"], "is_correct": [1, 0], "responded_at": times})
    pq.write_table(table, tmp_path / "answers.parquet")
    found = Responses.from_parquet(tmp_path / "answers.parquet", repeats="first")
    assert found.codes.tolist() == [0]
    with pytest.raises(InputError, match=r"1 duplicate answers.*Set options\.repeats"):
        Responses.from_parquet(tmp_path / "answers.parquet")
