"""Parts of a bank that few users hold together."""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pytest

from irt_engine import Responses, Settings, calibrate
from irt_engine.answers.weak_links import parts, weak_links
from tests.engine.drawing import draw


def bank(rows: list[list[int]], right: int = 5) -> Responses:
    """A row of items for each user."""
    rng = np.random.default_rng(right)
    users = [f"u{u:04d}" for u, row in enumerate(rows) for _ in row]
    items = [f"q{item:02d}" for row in rows for item in row]
    return Responses.from_columns(users, items, (rng.random(len(users)) < 0.5).tolist())


def forms(common: int, size: int = 5, users: int = 60) -> list[list[int]]:
    """Two forms; `common` users of the first have also answered one item of the second."""
    first, second = list(range(size)), list(range(size, 2 * size))
    bridging = [[*first, size + u % size] for u in range(common)]
    return [first] * (users - common) + bridging + [second] * users


@pytest.mark.parametrize(("common", "n_parts"), [(29, 2), (30, 1), (31, 1)])
def test_exactly_thirty_common_users_are_enough(common, n_parts):
    part = parts(bank(forms(common)), 30)
    assert len(set(part.tolist())) == n_parts
    if n_parts == 2:
        assert len(set(part[:5].tolist())) == len(set(part[5:].tolist())) == 1


def test_the_smaller_part_is_named_with_its_users():
    rows = forms(7, users=40) + [[0, 1, 2, 3, 4]] * 50
    settings = Settings.from_contract({"linking": {"method": "none", "min_common_users": 30}})
    assert weak_links(bank(rows), settings) == [
        {"n_items": 5, "n_users": 47, "n_common_users": 7, "item_ids": ["q05", "q06", "q07", "q08", "q09"]}
    ]
    found = calibrate(bank(rows), settings).to_contract()["fit_meta"]["model_spec"]["weak_links"]
    assert found[0]["n_common_users"] == 7


def test_nothing_is_said_unless_asked_for():
    spec = calibrate(bank(forms(7)), Settings(model="Rasch")).to_contract()["fit_meta"]["model_spec"]
    assert "weak_links" not in spec


def test_items_with_few_answers_are_not_looked_at():
    rows = [[0, 1, 2]] * 100 + [[2, 3]] * 29
    assert parts(bank(rows), 30).tolist() == [0, 0, 0, -1]


def test_a_sparse_bank_is_one_part():
    """Each pair of items shares 3 users of 5,000, yet no cut has fewer than 30."""
    responses = draw(2000, 300, seed=2, share=0.05)
    assert set(parts(responses, 30).tolist()) == {0}


def least_cut(rows: list[list[int]], one: int, other: int, n: int) -> int:
    """The fewest users with items on both sides, over all divisions of the items that separate these two."""
    rest = [item for item in range(n) if item not in (one, other)]
    best = len(rows)
    for size in range(len(rest) + 1):
        for chosen in combinations(rest, size):
            side = {one, *chosen}
            best = min(best, sum(0 < len(side & set(row)) < len(set(row)) for row in rows))
    return best


def test_no_cut_below_the_limit_is_inside_a_part():
    """Compared with all divisions of up to six items: no division with fewer users than the limit cuts a part."""
    rng = np.random.default_rng(12)
    several = 0
    for _ in range(60):
        n, least = int(rng.integers(3, 7)), 4
        rows = [
            sorted(rng.choice(n, int(rng.integers(1, min(n, 3) + 1)), replace=False).tolist())
            for _ in range(rng.integers(10, 40))
        ]
        rows += [[item] for item in range(n) for _ in range(least)]
        part = parts(bank(rows), least)
        several += len(set(part.tolist())) > 1
        for one, other in combinations(range(n), 2):
            if part[one] == part[other]:
                assert least_cut(rows, one, other, n) >= least
    assert several > 10


def test_groups_that_share_nobody():
    rows = [[0, 1]] * 40 + [[2, 3]] * 40 + [[4]] * 50
    part = parts(bank(rows), 30)
    assert len(set(part.tolist())) == 3
    assert part[0] == part[1]
    assert part[2] == part[3]


def test_a_chain_of_parts():
    """Three parts, each linked to the next by few users."""
    rows = [[0, 1]] * 60 + [[2, 3]] * 50 + [[4, 5]] * 40 + [[1, 2]] * 9 + [[3, 4]] * 8
    assert parts(bank(rows), 30).tolist() == [0, 0, 1, 1, 2, 2]


def test_looking_at_some_users_first_changes_nothing(monkeypatch):
    """Two large parts with 20 common users, one item with few answers, and another that hangs on by 31 users."""
    rng = np.random.default_rng(4)
    rows = [sorted(rng.choice(40, 8, replace=False)) for _ in range(3000)]
    rows += [sorted(40 + rng.choice(40, 8, replace=False)) for _ in range(2000)]
    rows += [[u % 40, 40 + u % 40] for u in range(20)] + [[1, 80]] * 31 + [[2, 81]] * 29
    responses = bank(rows)
    whole = parts(responses, 30)
    monkeypatch.setattr(sys.modules["irt_engine.answers.weak_links"], "_SAMPLE_ANSWERS", 5_000)
    assert parts(responses, 30).tolist() == whole.tolist()
    assert whole.tolist() == [0] * 40 + [1] * 40 + [0, -1]
