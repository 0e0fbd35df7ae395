"""Items that share no user with the others: nothing in the answers links them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from irt_engine import Responses, Settings, calibrate
from irt_engine.kernels.components import components


def labels(rows: list[list[int]], n_items: int) -> list[int]:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    codes = np.array([2 * item for row in rows for item in row], np.int32)
    return components(offsets, codes, n_items).tolist()


def test_components_by_hand():
    assert labels([[0, 1], [1, 2], [3], [4, 5], [], [5, 6]], 8) == [0, 0, 0, 3, 4, 4, 4, 7]
    assert labels([], 2) == [0, 1]


def test_components_of_any_graph():
    """Compared with a search from each item."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        n = int(rng.integers(1, 30))
        rows = [
            rng.choice(n, min(n, int(rng.integers(1, 4))), replace=False).tolist() for _ in range(rng.integers(1, 25))
        ]
        near = {item: {other for row in rows if item in row for other in row} for item in range(n)}
        expected = []
        for item in range(n):
            seen, new = set(), {item}
            while new:
                seen |= new
                new = {other for each in new for other in near[each]} - seen
            expected.append(min(seen))
        assert labels(rows, n) == expected


def test_a_long_chain_takes_time_that_grows_with_it():
    n = 300_000
    order = np.random.default_rng(1).permutation(n)
    offsets = np.arange(0, 2 * n - 1, 2)
    codes = (2 * np.column_stack([order[:-1], order[1:]])).ravel().astype(np.int32)
    assert not components(offsets.astype(np.int64), codes, n).any()


@pytest.fixture(scope="module")
def two_forms() -> Responses:
    """Form A for 800 users of N(-1, 1), form B for 900 of N(1, 1); the items are equally hard."""
    rng = np.random.default_rng(1)
    columns: tuple[list[str], list[str], list[int]] = ([], [], [])
    for form, n, mean in (("A", 800, -1.0), ("B", 900, 1.0)):
        theta, b = rng.normal(mean, 1, n), np.linspace(-1.5, 1.5, 10)
        right = rng.random((n, 10)) < 1 / (1 + np.exp(-(theta[:, None] - b)))
        columns[0].extend(f"{form}{u:04d}" for u in range(n) for _ in range(10))
        columns[1].extend(f"{form}{j}" for _ in range(n) for j in range(10))
        columns[2].extend(right.ravel().astype(int).tolist())
    return Responses.from_columns(*columns)


ANCHORS = [{"item_id": f"A{j}", "params": {"a": 1.0, "b": -1.5 + j / 3}} for j in range(10)]


def calibrated(responses: Responses, **request: Any) -> dict[str, Any]:
    return calibrate(responses, Settings.from_contract(request)).to_contract()


@pytest.mark.parametrize("method", ["stocking_lord", "fixed"])
def test_form_without_anchors_is_excluded_and_said(two_forms, method):
    """Its difficulties were once off by 1.6, on "the reference scale", with an SE of 0.1."""
    found = calibrated(two_forms, anchors=ANCHORS, linking={"method": method})
    assert {row["item_id"][0] for row in found["item_params"]} == {"A"}
    assert {row["item_id"] for row in found["excluded"]["items"]} == {f"B{j}" for j in range(10)}
    for row in found["excluded"]["items"]:
        assert row["reason"] == "not linked" and row["component"] == {"items": 10, "users": 900}
        assert row["n_responses"] == 900
    assert len(found["excluded"]["users"]) == 900
    assert {row["reason"] for row in found["excluded"]["users"]} == {"no usable responses"}
    wanted = {anchor["item_id"]: anchor["params"]["b"] for anchor in ANCHORS}
    errors = [row["params"]["b"] - wanted[row["item_id"]] for row in found["item_params"]]
    assert abs(np.mean(errors)) < 0.15


def test_without_anchors_most_answers_count(two_forms):
    found = calibrated(two_forms, model="Rasch")
    assert {row["item_id"][0] for row in found["item_params"]} == {"B"}
    without = calibrated(two_forms, model="Rasch", anchors=ANCHORS, linking={"method": "none"})
    assert {row["item_id"][0] for row in without["item_params"]} == {"B"}


def test_samples_of_one_population_are_calibrated_together(two_forms):
    found = calibrated(two_forms, linking={"unlinked": "same_population"})
    assert len(found["item_params"]) == 20 and not found["excluded"]["items"]


def test_one_user_in_common_links():
    rng = np.random.default_rng(2)
    rows = [(f"u{u:03d}", f"q{j}") for u in range(200) for j in (range(5) if u < 100 else range(5, 10))]
    rows.append(("u000", "q7"))
    columns = *map(list, zip(*rows, strict=True)), (rng.random(len(rows)) < 0.5).astype(int).tolist()
    assert not calibrated(Responses.from_columns(*columns), model="Rasch")["excluded"]["items"]
