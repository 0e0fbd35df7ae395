"""With `verdicts`, items that are wrong are held and named, and the others are as if they had never been there.

A service that does not list the capability may refuse the field.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ALL: dict[str, dict[str, Any]] = {
    name: {} for name in ("reversed", "flat", "out_of_range", "imprecise", "misfit", "too_few_answers")
}
ITEMS = [f"q{j:02d}" for j in range(24)]


@pytest.fixture(scope="module", autouse=True)
def capable(health) -> None:
    if "verdicts" not in health.get("capabilities", []):
        pytest.skip(f"{health['service']} judges no items, and says so in /healthz")


def columns(flipped: tuple[str, ...] = (), *, without: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Answers of 700 users to 24 items, with the keys of some flipped."""
    rng = np.random.default_rng(19)
    a, b, theta = rng.lognormal(0, 0.2, 24), rng.normal(0, 0.9, 24), rng.normal(size=(700, 1))
    right = rng.random((700, 24)) < 1 / (1 + np.exp(-a * (theta - b)))
    rows = [
        (f"u{u:03d}", item, int(right[u, j]) ^ (item in flipped))
        for u in range(700)
        for j, item in enumerate(ITEMS)
        if item not in without
    ]
    return dict(zip(("user_id", "item_id", "is_correct"), map(list, zip(*rows, strict=True)), strict=True))


@pytest.fixture(scope="module")
def calibrate(client, contract):
    def calibrate(observations: dict[str, list[Any]], **request: Any) -> dict[str, Any]:
        response = client.post("/irt/calibrate", json={"observations": observations, **request})
        assert response.status_code == 200, response.text
        contract.check("Calibration", response.json())
        return response.json()

    return calibrate


def difficulties(result: dict[str, Any]) -> dict[str, float]:
    return {row["item_id"]: row["params"]["b"] for row in result["item_params"]}


@pytest.mark.parametrize("model", ["2PL", "1PL"])
def test_flipped_keys_are_held(calibrate, model):
    found = calibrate(columns(("q03", "q07")), model=model, verdicts=ALL)
    assert [row["item_id"] for row in found["held"]] == ["q03", "q07"]
    for row in found["held"]:
        assert row["verdict"]["status"] == "held" and row["n_responses"] == 700
        reason = row["verdict"]["reasons"][0]
        assert (reason["reason"], reason["action"], reason["limit"]) == ("reversed", "hold", 2) and reason[
            "figure"
        ] < -2
    clean = calibrate(columns(without=("q03", "q07")), model=model)
    assert difficulties(found) == pytest.approx(difficulties(clean), abs=0.002)
    assert found["excluded"]["items"] == [] and found["fit_meta"]["model_spec"]["n_items"] == 22
    assert {row["verdict"]["status"] for row in found["item_params"]} == {"published"}


def test_a_held_anchor_is_not_linked_by(calibrate):
    anchors = [{"item_id": item, "params": {"a": 0.8, "b": b / 5 - 1}} for b, item in enumerate(ITEMS[:12])]
    own = calibrate(columns())
    for anchor, row in zip(anchors, own["item_params"], strict=False):
        anchor["params"] = {"a": row["params"]["a"] / 2, "b": 2 * row["params"]["b"] + 1}
    found = calibrate(columns(("q03", "q20")), anchors=anchors, linking={"method": "mean_sigma"}, verdicts=ALL)
    rows = {row["item_id"]: row for row in found["fit_meta"]["model_spec"]["linking_anchors"]}
    assert (rows["q03"]["used"], rows["q03"]["reason"]) == (False, "held")
    assert [row["anchor"] for row in found["held"]] == ["held", None]
    constants = found["fit_meta"]["model_spec"]["linking_constants"]
    assert (constants["slope"], constants["intercept"]) == pytest.approx((2, 1), abs=0.02)
    expected = next(row["params"] for row in own["item_params"] if row["item_id"] == "q20")
    held = found["held"][1]["params"]
    assert (held["a"], held["b"]) == pytest.approx((-expected["a"] / 2, 2 * expected["b"] + 1), abs=0.05)


def test_limits_and_actions(calibrate):
    rules = {
        "reversed": {"action": "warn"},
        "imprecise": {"action": "ignore"},
        "misfit": {"action": "warn", "limit": 0},
    }
    found = calibrate(columns(("q03",)), verdicts=rules)
    assert found["held"] == []
    reasons = {row["item_id"]: [each["reason"] for each in row["verdict"]["reasons"]] for row in found["item_params"]}
    assert reasons["q03"] == ["reversed", "misfit"] and reasons["q04"] == ["misfit"]
    figure = found["item_params"][4]["verdict"]["reasons"][0]["figure"]
    assert figure == found["item_params"][4]["fit"]["rmsd"]


def test_without_verdicts_there_are_none(calibrate):
    found = calibrate(columns(("q03",)))
    assert "held" not in found and not any("verdict" in row for row in found["item_params"])
    judged = calibrate(columns(("q03",)), verdicts={})
    assert judged["held"] == [] and judged["item_params"][3]["verdict"] == {"status": "published", "reasons": []}


WRONG = [
    ({"odd": {}}, "verdicts.odd"),
    ({"reversed": {"action": "drop"}}, "verdicts.reversed.action"),
    ({"misfit": {"limit": -1}}, "verdicts.misfit.limit"),
    ({"misfit": {"limit_a": 1}}, "verdicts.misfit.limit_a"),
    ({"imprecise": {"limit_a": "1"}}, "verdicts.imprecise.limit_a"),
    ({"flat": 1}, "verdicts.flat"),
    ({"flat": {"action": "use_newer"}}, "verdicts.flat.action"),
    ({"changed": {"action": "older"}}, "verdicts.changed.action"),
    ({"changed": {"action": "ignore", "limit": -1}}, "verdicts.changed.limit"),
    ({"changed": {"action": "ignore", "since": "2026-11-20"}}, "verdicts.changed.since"),
    (7, "verdicts"),
]


@pytest.mark.parametrize(("verdicts", "field"), WRONG, ids=[field for _, field in WRONG])
def test_wrong_rules_are_named(client, contract, verdicts, field):
    response = client.post("/irt/calibrate", json={"observations": columns(), "verdicts": verdicts})
    problem = contract.problem(response, 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == [field]
