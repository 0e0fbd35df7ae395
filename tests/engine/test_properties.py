"""Properties that hold for any data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irt_engine import CalibrationError, Responses, Settings, calibrate
from irt_engine.linking.constants import AnchorParameters, link

# The same examples in every run, so that only a change can cause a failure.
ANY = settings(deadline=None, max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def answers(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    """Up to 60 users and 9 items, each user to some of the items; possibly without any structure at all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_users, n_items = draw(st.integers(1, 60)), draw(st.integers(1, 9))
    share = draw(st.sampled_from([0.3, 0.7, 1.0]))
    strength = draw(st.sampled_from([0.0, 1.0, 4.0]))
    logit = strength * rng.normal(size=(n_users, 1)) - rng.normal(size=n_items)
    right = rng.random((n_users, n_items)) < 1 / (1 + np.exp(-logit))
    seen = rng.random((n_users, n_items)) < share
    return [(f"u{u}", f"q{i}", int(right[u, i])) for u, i in zip(*np.nonzero(seen), strict=True)]


MODELS = st.sampled_from(["Rasch", "1PL", "2PL", "3PL"])


def result_of(rows: list[tuple[str, str, int]], model: str, **request) -> dict | None:
    """The contract's result; None if there is nothing to calibrate."""
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    try:
        return calibrate(
            Responses.from_columns(*map(list, columns)), Settings.from_contract({"model": model, **request})
        ).to_contract()
    except CalibrationError:
        return None


@given(answers(), MODELS, st.randoms())
@ANY
def test_the_order_of_rows_changes_nothing(rows, model, random):
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert json.dumps(result_of(rows, model)) == json.dumps(result_of(shuffled, model))


@given(answers(), MODELS)
@ANY
def test_every_number_is_finite_and_everyone_is_accounted_for(rows, model):
    result = result_of(rows, model)
    if result is None:
        return
    json.dumps(result, allow_nan=False)
    items = {row["item_id"] for row in result["item_params"]} | {row["item_id"] for row in result["excluded"]["items"]}
    users = {row["user_id"] for row in result["abilities"]} | {row["user_id"] for row in result["excluded"]["users"]}
    assert items == {item for _, item, _ in rows}
    assert users == {user for user, _, _ in rows}
    spec = result["fit_meta"]["model_spec"]
    assert spec["n_observations"] == sum(row["n_responses"] for row in result["item_params"])
    for row in result["item_params"]:
        assert abs(row["params"]["a"]) < 100 and abs(row["params"]["b"]) < 1e5
        assert all(se is None or 0 <= se < 1e9 for se in row["se"].values())


@given(answers(), st.sampled_from(["Rasch", "1PL", "2PL"]))
@ANY
def test_mirrored_answers_mirror_the_difficulties(rows, model):
    plain = result_of(rows, model)
    mirrored = result_of([(user, item, 1 - right) for user, item, right in rows], model)
    if plain is None or not plain["fit_meta"]["metrics"]["converged"]:
        return
    if mirrored is None or not mirrored["fit_meta"]["metrics"]["converged"]:
        return
    loglik = plain["fit_meta"]["metrics"]["loglik"]
    assert mirrored["fit_meta"]["metrics"]["loglik"] == pytest.approx(loglik, abs=1e-4)
    for row, other in zip(plain["item_params"], mirrored["item_params"], strict=True):
        # Where the likelihood is flat, an estimate is wherever the steps became short.
        if abs(row["params"]["b"]) < 5 and (row["se"]["b"] or 9) < 1 and (row["se"]["a"] or 0) < 1:
            assert other["params"]["b"] == pytest.approx(-row["params"]["b"], abs=1e-3)
            assert other["params"]["a"] == pytest.approx(row["params"]["a"], abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 2.0), st.floats(-2.0, 2.0))
@ANY
@pytest.mark.parametrize("method", ["mean_mean", "mean_sigma", "haebara", "stocking_lord"])
def test_linking_finds_the_line_and_is_invertible(method, seed, slope, intercept):
    rng = np.random.default_rng(seed)
    a, b, c = rng.lognormal(0, 0.3, 12), rng.normal(size=12), np.zeros(12)
    there = link(method, AnchorParameters(a / slope, slope * b + intercept, c, a, b, c))
    assert (there.slope, there.intercept) == (pytest.approx(slope, abs=1e-6), pytest.approx(intercept, abs=1e-6))
    back = link(method, AnchorParameters(a, b, c, a / slope, slope * b + intercept, c))
    assert there.slope * back.slope == pytest.approx(1.0, abs=1e-6)
    assert there.slope * back.intercept + there.intercept == pytest.approx(0.0, abs=1e-6)


@given(answers(), st.floats(0.6, 1.6), st.floats(-1.0, 1.0))
@ANY
def test_linking_moves_everything_by_its_constants(rows, slope, intercept):
    own = result_of(rows, "2PL")
    if own is None or min(row["params"]["a"] for row in own["item_params"]) < 0.05:
        return
    anchors = [
        {
            "item_id": row["item_id"],
            "params": {"a": row["params"]["a"] / slope, "b": slope * row["params"]["b"] + intercept},
        }
        for row in own["item_params"]
    ]
    linked = result_of(rows, "2PL", anchors=anchors, linking={"method": "mean_mean", "min_anchors": 1})
    constants = linked["fit_meta"]["model_spec"]["linking_constants"]
    assert constants["slope"] == pytest.approx(slope, rel=1e-9)
    assert constants["intercept"] == pytest.approx(intercept, abs=1e-6)
    for row, other in zip(own["abilities"], linked["abilities"], strict=True):
        assert other["theta"] == pytest.approx(constants["slope"] * row["theta"] + constants["intercept"], abs=1e-9)
        assert other["se"] == pytest.approx(constants["slope"] * row["se"], abs=1e-9)
