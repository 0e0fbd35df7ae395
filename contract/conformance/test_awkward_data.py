"""Data that cannot all be calibrated: the service lists what it excluded and calibrates the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache

import pytest

from contract.conformance.bodies import lsat7

MODELS = ["Rasch", "1PL", "2PL", "3PL"]


def with_rows(*rows: tuple[str, str, int]) -> dict[str, list]:
    columns = lsat7()
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
    return columns


def calibrated(client, contract, columns, **request) -> dict:
    response = client.post("/irt/calibrate", json={"observations": columns, **request})
    assert response.status_code == 200, response.text
    result = response.json()
    contract.check("Calibration", result)
    # `json` would read NaN and Infinity, which are not JSON.
    json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} in the result"))
    return result


@pytest.fixture(scope="session")
def clean(client, contract) -> Callable[[str], dict]:
    """The calibration of clean data by a model, run once per model."""
    return cache(lambda model: calibrated(client, contract, lsat7(), model=model))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("right", [1, 0])
def test_item_with_one_kind_of_answers(client, contract, clean, model, right):
    rows = [(f"u{u:04d}", "odd", right) for u in range(40)]
    result = calibrated(client, contract, with_rows(*rows), model=model)
    [excluded] = result["excluded"]["items"]
    assert excluded["reason"]
    assert (excluded["item_id"], excluded["n_responses"], excluded["p_correct"]) == ("odd", 40, right)
    assert [row["params"] for row in result["item_params"]] == [row["params"] for row in clean(model)["item_params"]]


def test_items_and_users_with_few_answers(client, contract):
    rows = [("u0001", "rare", 1), ("u0002", "rare", 0), ("new", "q1", 1)]
    options = {"min_item_responses": 5, "min_user_responses": 2}
    result = calibrated(client, contract, with_rows(*rows), options=options)
    assert [(row["item_id"], row["n_responses"]) for row in result["excluded"]["items"]] == [("rare", 2)]
    assert [(row["user_id"], row["n_responses"]) for row in result["excluded"]["users"]] == [("new", 1)]
    assert result["fit_meta"]["model_spec"]["n_observations"] == 5000


def test_person_without_usable_answers(client, contract):
    result = calibrated(client, contract, with_rows(("lost", "odd", 1), ("new", "q1", 1)))
    assert [row["user_id"] for row in result["excluded"]["users"]] == ["lost"]
    [new] = [row for row in result["abilities"] if row["user_id"] == "new"]
    assert 0 < new["theta"] < 1 and 0.8 < new["se"] < 1 and new["n_responses"] == 1


def test_estimate_that_runs_away(client, contract):
    """One of two answers is right: a steeper slope always fits better."""
    result = calibrated(client, contract, with_rows(("u0001", "x", 1), ("u0999", "x", 0)))
    assert [row["item_id"] for row in result["excluded"]["items"]] == ["x"]
    assert len(result["item_params"]) == 5


def _in_perfect_order() -> dict[str, list]:
    """Ten persons at each of 13 points between 12 items: a steeper slope always fits better."""
    rows = [(f"u{u:03d}", f"i{i:02d}", int(u // 10 > i)) for u in range(130) for i in range(12)]
    return dict(zip(("user_id", "item_id", "is_correct"), map(list, zip(*rows, strict=True)), strict=True))


def test_too_few_items_with_an_estimate_are_named_with_what_helps(client, contract):
    request = {"observations": _in_perfect_order(), "model": "2PL"}
    detail = contract.problem(client.post("/irt/calibrate", json=request), 422, "calibration-failed")["detail"]
    assert re.fullmatch(
        r"\d+ of 12 items have no finite estimate: answers, 130 per item in the median, do not determine slopes of "
        r"their own\. Use 1PL or Rasch, a larger options\.min_item_responses, or a prior on a, such as lognormal with "
        r"mean 0 and sd 0\.5; \d+ of 12 items are excluded: \d+ diverged \(i\d\d, i\d\d, .*\)",
        detail,
    ), detail


def test_a_prior_far_from_the_answers_is_named(client, contract):
    options = {"priors": {"a": {"dist": "normal", "mean": 1000, "sd": 0.1}}}
    request = {"observations": lsat7(), "model": "2PL", "options": options}
    detail = contract.problem(client.post("/irt/calibrate", json=request), 422, "calibration-failed")["detail"]
    assert detail == (
        "the prior on a (normal with mean 1000 and sd 0.1) leaves items without a finite estimate that have one "
        "without it. Use a prior that holds the values which items can have, or none; 5 of 5 items are excluded: 5 "
        "diverged (q1, q2, q3, q4, q5)"
    )


def test_nothing_to_calibrate(client, contract):
    columns = {"user_id": ["a", "b"], "item_id": ["q", "q"], "is_correct": [1, 1]}
    problem = contract.problem(client.post("/irt/calibrate", json={"observations": columns}), 422, "calibration-failed")
    assert "item" in problem["detail"]


def test_not_converged_is_reported(client, contract):
    metrics = calibrated(client, contract, lsat7(), options={"max_iterations": 1})["fit_meta"]["metrics"]
    assert metrics["converged"] is False


def test_ids_of_any_string(client, contract):
    names = ["수학-1", " ", "a\nb", "🙂", "x" * 10_000, "\u0001"]
    columns = with_rows(*((user, f"q{q}", (q + i) % 2) for i, user in enumerate(names) for q in range(1, 6)))
    result = calibrated(client, contract, columns)
    found = [row["user_id"] for row in result["abilities"]]
    assert set(names) < set(found) and found == sorted(found)


def test_items_that_share_no_user_with_the_others_are_not_linked(client, contract):
    """A second form of 30 users beside LSAT 7, which have anchors or not."""
    rows = [(f"x{u}", f"z{i}", (u * (i + 2)) // 3 % 2) for u in range(30) for i in range(4)]
    columns = with_rows(*rows)
    result = calibrated(client, contract, columns, model="Rasch")
    assert {row["item_id"] for row in result["item_params"]} == {f"q{i}" for i in range(1, 6)}
    excluded = {row["item_id"]: row for row in result["excluded"]["items"]}
    assert set(excluded) == {f"z{i}" for i in range(4)}
    for row in excluded.values():
        assert row["reason"] == "not linked" and row["component"] == {"items": 4, "users": 30}
    assert {row["reason"] for row in result["excluded"]["users"]} == {"no usable responses"}
    together = calibrated(client, contract, columns, model="Rasch", linking={"unlinked": "same_population"})
    assert len(together["item_params"]) == 9


def test_drifted_anchor_is_left_out(client, contract):
    """One of the five items is two logits harder than in the bank."""
    slopes, intercepts = [0.988, 1.081, 1.706, 0.765, 0.736], [1.856, 0.808, 1.804, 0.486, 1.855]
    anchors = [
        {"item_id": f"q{i}", "params": {"a": a, "b": -d / a - (2.0 if i == 3 else 0.0)}}
        for i, (a, d) in enumerate(zip(slopes, intercepts, strict=True), start=1)
    ]
    request = {"anchors": anchors, "linking": {"method": "mean_mean", "min_anchors": 3}}
    result = calibrated(client, contract, lsat7(), **request)
    assert {row["item_id"]: row["anchor"] for row in result["item_params"]} == {
        f"q{i}": "drifted" if i == 3 else "used" for i in range(1, 6)
    }
    constants = result["fit_meta"]["model_spec"]["linking_constants"]
    assert constants["n_anchors_used"] == 4
    assert (constants["slope"], constants["intercept"]) == pytest.approx((1.0, 0.0), abs=0.01)
