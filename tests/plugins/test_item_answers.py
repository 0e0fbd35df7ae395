"""The answers behind the items, of abilities that are not as they should be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from irt.item_answers import item_answers
from irt.staging import ABILITIES, RESPONSES

USERS = 1000


@pytest.fixture
def counted(tmp_path):
    """Counts one item's answers, every second one right, of users with these abilities."""
    run = SimpleNamespace(staged=lambda name: tmp_path / name)

    def counted(theta, se):
        ids = [f"u{n}" for n in range(USERS)]
        pq.write_table(pa.table({"user_id": ids, "theta": theta, "se": se}), run.staged(ABILITIES))
        right = [n % 2 == 0 for n in range(USERS)]
        answers = {"user_id": ids, "item_id": ["7"] * USERS, "is_correct": right}
        pq.write_table(pa.table(answers), run.staged(RESPONSES))
        return item_answers(run).to_pylist()

    return counted


def test_equal_abilities(counted):
    [row] = counted(np.full(USERS, 0.1), np.full(USERS, 0.3))
    assert np.diff(row["theta"]) == pytest.approx(0.5) and sum(row["answers"]) == pytest.approx(USERS, rel=1e-5)
    assert np.array(row["correct"]) / row["answers"] == pytest.approx(0.5, rel=1e-5)


def test_abilities_that_nobody_has(counted):
    """A few of a thousand: without an error, or without a value; the others count as ever."""
    theta, se = np.random.default_rng(5).normal(size=USERS), np.full(USERS, 0.3)
    [usual] = counted(theta, se)
    theta[:4], se[:4] = [0.5, np.nan, np.inf, 0.5], [1e-30, 0.3, 0.3, 0.0]
    [row] = counted(theta, se)
    # Those with an ability and an SE.
    assert sum(row["answers"]) == pytest.approx(USERS - 3, rel=1e-5)
    assert row["answers"] == pytest.approx(usual["answers"], rel=0.1, abs=2)
    assert counted(np.full(USERS, np.nan), se) == []
