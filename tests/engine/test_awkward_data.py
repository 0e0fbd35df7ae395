"""Data that cannot be calibrated as they are: excluded or bounded with a reason, while the rest is calibrated."""

from __future__ import annotations

import json

import numpy as np
import pytest

from irt_engine import CalibrationError, Responses, Settings, calibrate, score
from tests.engine.drawing import draw_columns

MODELS = ["Rasch", "1PL", "2PL", "3PL"]
Columns = tuple[list[str], list[str], list[int]]


def plain() -> Columns:
    return draw_columns(500, 8, seed=3, guessing=0.05)


def extended(*rows: tuple[str, str, int]) -> Columns:
    columns = plain()
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns


def result_of(columns: Columns, **request) -> dict:
    result = calibrate(Responses.from_columns(*columns), Settings.from_contract(request)).to_contract()
    json.dumps(result, allow_nan=False)
    return result


def excluded_items(result: dict) -> list[tuple[str, str, int]]:
    return [(row["item_id"], row["reason"], row["n_responses"]) for row in result["excluded"]["items"]]


def assert_rest_untouched(result: dict, model: str) -> None:
    """Items and abilities are those of a calibration without what was excluded."""
    clean = result_of(plain(), model=model)
    assert result["item_params"] == clean["item_params"]
    assert result["abilities"] == clean["abilities"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("right", "reason"), [(1, "all correct"), (0, "all incorrect")])
def test_item_with_one_kind_of_answers(model, right, reason):
    rows = [(f"u{u:05d}", "odd", right) for u in range(40)]
    result = result_of(extended(*rows), model=model)
    assert excluded_items(result) == [("odd", reason, 40)]
    assert result["excluded"]["items"][0]["p_correct"] == right
    assert_rest_untouched(result, model)


@pytest.mark.parametrize("model", MODELS)
def test_item_with_few_answers(model):
    rows = [(f"u{u:05d}", "rare", u % 2) for u in range(19)]
    result = result_of(extended(*rows), model=model, options={"min_item_responses": 20})
    assert excluded_items(result) == [("rare", "too few responses", 19)]
    assert_rest_untouched(result, model)


@pytest.mark.parametrize("model", ["2PL", "3PL"])
def test_item_whose_slope_runs_away(model):
    """One of two right: the steeper the slope, the better the fit."""
    result = result_of(extended(("u00001", "x", 1), ("u00002", "x", 0)), model=model)
    assert excluded_items(result) == [("x", "diverged", 2)]
    assert_rest_untouched(result, model)


@pytest.mark.parametrize("model", ["Rasch", "1PL"])
def test_the_same_item_without_a_slope_of_its_own_is_kept(model):
    result = result_of(extended(("u00001", "x", 1), ("u00002", "x", 0)), model=model)
    assert excluded_items(result) == []
    assert result["item_params"][-1]["se"]["b"] > 1


def test_identical_items():
    users, items, right = plain()
    twins = [(user, "twin", answer) for user, item, answer in zip(users, items, right, strict=True) if item == "q002"]
    result = result_of(extended(*twins))
    assert excluded_items(result) == [("q002", "diverged", 500), ("twin", "diverged", 500)]
    assert len(result["item_params"]) == 7


def test_item_without_relation_to_the_others():
    """The same share is right for every pattern of the other items: the slope is 0, so there is no difficulty."""
    columns = plain()
    users = [f"{copy}{user}" for copy in "ab" for user in columns[0]]
    items, right = 2 * columns[1], 2 * columns[2]
    for user in sorted(set(users)):
        users.append(user)
        items.append("coin")
        right.append(int(user.startswith("a")))
    assert excluded_items(result_of((users, items, right))) == [("coin", "no discrimination", 1000)]


def test_reversed_item_keeps_its_negative_slope():
    users, items, right = plain()
    flipped = [1 - answer if item == "q004" else answer for item, answer in zip(items, right, strict=True)]
    plain_result, result = result_of(plain()), result_of((users, items, flipped))
    assert result["item_params"][4]["params"]["a"] == pytest.approx(
        -plain_result["item_params"][4]["params"]["a"], abs=1e-4
    )
    assert result["item_params"][4]["params"]["b"] == pytest.approx(
        plain_result["item_params"][4]["params"]["b"], abs=1e-4
    )


def test_guessing_that_goes_to_zero_is_held_there():
    """With a flat prior on c the likelihood of some items is highest at c = 0, which no logit reaches."""
    columns = draw_columns(3000, 15, seed=21)
    flat = {"priors": {"c": {"dist": "beta", "alpha": 1, "beta": 1}}}
    result = result_of(columns, model="3PL", options=flat)
    assert result["fit_meta"]["metrics"]["converged"]
    held = [row for row in result["item_params"] if row["params"]["c"] == 0]
    assert held and len(held) < 15
    assert all(row["se"]["c"] is None and row["se"]["a"] > 0 and row["model"] == "3PL" for row in held)
    assert all(row["se"]["c"] > 0 for row in result["item_params"] if row["params"]["c"] > 0)


def test_persons_with_one_answer_and_without_usable_ones():
    rows = [("new", "q003", 1), ("lost", "odd", 1)]
    result = result_of(extended(*rows))
    assert result["excluded"]["users"] == [{"user_id": "lost", "reason": "no usable responses", "n_responses": 1}]
    new = next(row for row in result["abilities"] if row["user_id"] == "new")
    assert 0 < new["theta"] < 1 and 0.8 < new["se"] < 1 and new["n_responses"] == 1
    result = result_of(extended(*rows), options={"min_user_responses": 2})
    assert [row["user_id"] for row in result["excluded"]["users"]] == ["lost", "new"]
    assert {row["reason"] for row in result["excluded"]["users"]} == {"too few responses"}


def test_exclusions_follow_from_each_other():
    """Without excluded users, an item has too few answers; without that item, other users have none."""
    rows = [("a", "odd", 1), ("b", "odd", 1), ("b", "tail", 1), ("c", "tail", 0), ("c", "q001", 1)]
    result = result_of(extended(*rows), options={"min_user_responses": 2, "min_item_responses": 3})
    assert excluded_items(result) == [("odd", "too few responses", 2), ("tail", "too few responses", 2)]
    reasons = {row["user_id"]: row["reason"] for row in result["excluded"]["users"]}
    assert reasons == {"a": "too few responses", "b": "no usable responses", "c": "no usable responses"}


def test_two_blocks_without_a_common_person():
    users, items, right = plain()
    rows = [r for r in zip(users, items, right, strict=True) if (r[0] < "u00250") == (r[1] < "q004")]
    linking = {"unlinked": "same_population"}
    result = result_of(tuple(map(list, zip(*rows, strict=True))), model="Rasch", linking=linking)
    assert result["fit_meta"]["metrics"]["converged"] and len(result["item_params"]) == 8


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([], [], []), "no item is left to calibrate; 0 of 0 items"),
        ((["a", "a", "b"], ["1", "2", "1"], [1, 1, 1]), "2 of 2 items are excluded: 2 all correct"),
        ((["a", "b", "c"], ["1", "1", "1"], [1, 0, 1]), "2 response patterns of 1 items"),
    ],
)
def test_nothing_to_calibrate(columns, message):
    with pytest.raises(CalibrationError, match=message):
        result_of(columns)


def test_an_end_before_convergence_is_said():
    result = result_of(draw_columns(2000, 20, seed=1), model="3PL", options={"max_iterations": 3})
    metrics = result["fit_meta"]["metrics"]
    assert metrics["converged"] is False
    assert metrics["max_change"] > 1e-6 and metrics["max_gradient"] > 1e-4


def test_separated_persons_do_not_stop_the_calibration():
    """Persons and items in perfect order (Guttman): no finite estimates exist, and the error says so."""
    right = (np.arange(9)[:, None] > np.arange(8)).repeat(40, axis=0)
    user, item = np.divmod(np.arange(right.size), 8)
    columns = [f"u{u:03d}" for u in user], [f"q{i}" for i in item], right.ravel().astype(int).tolist()
    for model in MODELS:
        with pytest.raises(CalibrationError, match="items have no finite estimate|items are too few to determine"):
            result_of(columns, model=model)


def test_too_few_anchors_are_an_error_with_the_numbers():
    anchors = [{"item_id": f"q{j:03d}", "params": {"a": 1.0, "b": 0.5 * j}} for j in range(3)]
    anchors += [{"item_id": "absent", "params": {"a": 1.0, "b": 0.0}}]
    with pytest.raises(CalibrationError, match="needs at least 4 anchors; of the 4 given, 3 are among the 8 items"):
        result_of(plain(), anchors=anchors, linking={"min_anchors": 4})
    with pytest.raises(CalibrationError, match="needs at least 5 anchors; of the 0 given, 0 are among"):
        result_of(plain(), linking={"method": "haebara"})


def test_too_few_anchors_after_drift_are_an_error_with_the_numbers():
    rng = np.random.default_rng(4)
    columns = draw_columns(20_000, 10, seed=5)
    own = result_of(columns)["item_params"]
    shift = [0, 0, 0, 0, 3, -3]
    anchors = [
        {
            "item_id": row["item_id"],
            "params": {"a": row["params"]["a"], "b": row["params"]["b"] + by + rng.normal(0, 0.01)},
        }
        for row, by in zip(own, shift, strict=False)
    ]
    with pytest.raises(
        CalibrationError,
        match="4 of 6 anchors are left after 2 drifted .false discovery rate 0.05.; linking needs at least 5",
    ):
        result_of(columns, anchors=anchors, linking={})
    for linking in ({"min_anchors": 4}, None):
        spec = result_of(columns, anchors=anchors, linking=linking)["fit_meta"]["model_spec"]
        assert spec["linking_constants"]["n_anchors_used"] == 4


def test_score_without_parameters_or_answers():
    responses = Responses.from_columns(["a", "b", "a"], ["1", "2", "2"], [1, 0, 1])
    result = score(responses, [{"item_id": "1", "params": {"a": 1, "b": 0}}]).to_contract()
    assert [row["user_id"] for row in result["abilities"]] == ["a"]
    assert result["excluded"] == {
        "items": [{"item_id": "2", "reason": "no parameters", "n_responses": 2, "p_correct": 0.5}],
        "users": [{"user_id": "b", "reason": "no usable responses", "n_responses": 1}],
    }
