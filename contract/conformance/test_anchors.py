"""Anchors that drifted are left out; anchors that contradict their reference parameters fail the calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

N_ANCHORS = 15
Calibrate = Callable[..., Any]


@pytest.fixture(scope="module")
def truth() -> tuple[np.ndarray, np.ndarray]:
    """a and b of 20 items."""
    rng = np.random.default_rng(4)
    return rng.lognormal(0, 0.3, 20), rng.permutation(np.linspace(-1.8, 1.8, 20))


@pytest.fixture(scope="module")
def columns(truth) -> dict[str, list[Any]]:
    """All answers of 1,200 users, whose abilities are N(0.5, 1.2^2) on the scale of the anchors."""
    a, b = truth
    rng = np.random.default_rng(10)
    theta = rng.normal(0.5, 1.2, (1200, 1))
    right = rng.random((1200, 20)) < 1 / (1 + np.exp(-a * (theta - b)))
    return {
        "user_id": np.repeat([f"u{u:04d}" for u in range(1200)], 20).tolist(),
        "item_id": [f"q{j:02d}" for j in range(20)] * 1200,
        "is_correct": right.ravel().astype(int).tolist(),
    }


def anchors_of(a: np.ndarray, b: np.ndarray) -> list[dict[str, Any]]:
    values = zip(a[:N_ANCHORS].tolist(), b[:N_ANCHORS].tolist(), strict=True)
    return [{"item_id": f"q{j:02d}", "params": {"a": x, "b": y}} for j, (x, y) in enumerate(values)]


@pytest.fixture(scope="module")
def linked(client, contract, columns) -> Calibrate:
    """The `model_spec` of a calibration with these anchors."""

    def calibrate(anchors: list[dict[str, Any]], **linking: Any) -> dict[str, Any]:
        body = {"observations": columns, "anchors": anchors, "linking": {"method": "mean_mean"} | linking}
        response = client.post("/irt/calibrate", json=body)
        assert response.status_code == 200, response.text
        result = response.json()
        contract.check("Calibration", result)
        return result["fit_meta"]["model_spec"]

    return calibrate


@pytest.fixture(scope="module")
def refused(client, contract, columns) -> Calibrate:
    """The words of the problem with which these anchors are refused."""

    def calibrate(anchors: list[dict[str, Any]], **linking: Any) -> str:
        body = {"observations": columns, "anchors": anchors, "linking": {"method": "stocking_lord"} | linking}
        return contract.problem(client.post("/irt/calibrate", json=body), 422, "calibration-failed")["detail"]

    return calibrate


@pytest.mark.parametrize("method", ["stocking_lord", "fixed"])
def test_anchors_joined_to_the_wrong_items_are_refused(refused, truth, method):
    a, b = truth
    detail = refused(anchors_of(np.roll(a[:N_ANCHORS], 4), np.roll(b[:N_ANCHORS], 4)), method=method)
    assert f"the {N_ANCHORS} anchors contradict their reference parameters: " in detail
    assert "their difficulties correlate with the reference by " in detail
    assert "their response functions differ from the reference by " in detail
    assert detail.endswith("Are the parameters joined to the right items, and on one scale?")


def test_a_shift_of_nearly_half_the_anchors_is_refused(refused, linked, truth):
    a, b = truth
    shifted = b + (np.arange(20) < 7)
    assert "47% of them drifted, at most 40% may. Are" in refused(anchors_of(a, shifted))
    spec = linked(anchors_of(a, shifted), max_drifted=0.5)
    assert spec["anchor_agreement"]["drifted"] == pytest.approx(7 / 15)
    rows = spec["linking_anchors"]
    assert [row["item_id"] for row in rows if not row["used"]] == [f"q{j:02d}" for j in range(7)]
    for row in rows[:7]:
        assert row["reason"].startswith("drifted: a ") and row["p"] < 0.01 and row["influence"] is None


def test_too_few_anchors_after_drift(refused, truth):
    a, b = truth
    detail = refused(anchors_of(a, b + (np.arange(20) < 4)), min_anchors=12)
    message = "11 of 15 anchors are left after 4 drifted (false discovery rate 0.05); linking needs at least 12"
    assert message in detail


def test_robust_z_is_a_condition_only_if_asked_for(linked, truth):
    a, b = truth
    anchors = anchors_of(a, b + (np.arange(20) < 2))
    assert linked(anchors)["anchor_agreement"]["drifted"] == pytest.approx(2 / 15)
    for limits in ({"drift_z": 1e6}, {"drift_alpha": 0}):
        assert linked(anchors, max_rmsd=1, **limits)["anchor_agreement"]["drifted"] == 0


def test_agreement_and_influence_of_good_anchors(linked, truth):
    a, b = truth
    anchors = anchors_of(a, b)
    spec = linked(anchors, drift_alpha=0)
    agreement = spec["anchor_agreement"]
    assert agreement["correlation_b"] > 0.98 and agreement["correlation_log_a"] > 0.8
    assert agreement["rmsd"] < 0.02 and agreement["drifted"] == 0 and agreement["spread"] < 0.1
    without = linked(anchors[1:], drift_alpha=0)["linking_constants"]
    influence = spec["linking_anchors"][0]["influence"]
    for name in ("slope", "intercept"):
        assert influence[name] == pytest.approx(spec["linking_constants"][name] - without[name], abs=1e-6)
    assert all(row["influence"] is None for row in linked(anchors, method="fixed")["linking_anchors"])


def test_no_agreement_without_linking(client, columns):
    body = {"observations": columns, "model": "Rasch"}
    assert client.post("/irt/calibrate", json=body).json()["fit_meta"]["model_spec"]["anchor_agreement"] is None
