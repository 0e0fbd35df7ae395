"""With `options.start`, a calibration comes to the same estimates from those of an earlier one, near or not.

A service that does not list the capability `start` refuses the field.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import cases

CASE = "d_2pl_sparse"
GOOD = {"item_id": "q0001", "params": {"a": 1.0, "b": 0.0}}


@pytest.fixture(scope="module")
def knows_start(health) -> bool:
    return "start" in health.get("capabilities", [])


@pytest.fixture(scope="module")
def calibrate(client, contract, knows_start):
    def calibrate(start: list[dict[str, Any]] | None, leave_out: int | None = None, **options: Any) -> dict[str, Any]:
        """The bank without every 60th answer, if `leave_out` says which."""
        rows = {
            name: [value for i, value in enumerate(values) if leave_out is None or i % 60 != leave_out]
            for name, values in cases.columns(CASE).items()
        }
        given = {} if start is None else {"start": start}
        response = client.post("/irt/calibrate", json={"observations": rows, "options": {**given, **options}})
        if start is not None and not knows_start:
            problem = contract.problem(response, 422, "invalid-request")
            assert [error["field"] for error in problem["errors"]] == ["options.start"]
            pytest.skip("the service begins every calibration anew, and refuses a start")
        assert response.status_code == 200, response.text
        contract.check("Calibration", response.json())
        return response.json()

    return calibrate


@pytest.fixture(scope="module")
def cold(calibrate):
    return calibrate(None)


@pytest.fixture(scope="module")
def yesterday(calibrate):
    return [{"item_id": row["item_id"], "params": row["params"]} for row in calibrate(None, leave_out=7)["item_params"]]


def metrics(result):
    return result["fit_meta"]["metrics"]


def assert_same_estimates(found, wanted):
    for row, other in zip(found["item_params"], wanted["item_params"], strict=True):
        assert row["item_id"] == other["item_id"]
        assert row["params"]["a"] == pytest.approx(other["params"]["a"], abs=1e-5)
        assert row["params"]["b"] == pytest.approx(other["params"]["b"], rel=1e-5, abs=1e-5)


def test_yesterdays_estimates_lead_to_todays(calibrate, cold, yesterday):
    found = calibrate(yesterday)
    assert metrics(found)["start"] == "warm"
    assert_same_estimates(found, cold)
    assert metrics(found)["n_iterations"] < metrics(cold)["n_iterations"]


def test_a_start_of_other_items_is_no_start(calibrate, cold, yesterday):
    """Each item at the parameters of the one at the other end."""
    turned = [row | {"params": other["params"]} for row, other in zip(yesterday, reversed(yesterday), strict=True)]
    found = calibrate(turned)
    assert metrics(found)["start"] == "cold"
    assert_same_estimates(found, cold)


@pytest.mark.parametrize("start", [[], [{**GOOD, "item_id": "unknown"}]])
def test_unknown_items_are_ignored(calibrate, cold, start):
    found = calibrate(start)
    assert metrics(found)["start"] == "cold"
    assert_same_estimates(found, cold)


def test_without_a_start_none_is_named(cold):
    assert "start" not in metrics(cold)


@pytest.mark.parametrize(
    ("start", "field", "value"),
    [
        ("all", "options.start", "all"),
        ([GOOD, GOOD], "options.start[1].item_id", "q0001"),
        ([{**GOOD, "fixed": True}], "options.start[0].fixed", True),
        ([{**GOOD, "params": {"a": 1.0}}], "options.start[0].params.b", None),
        ([GOOD, {"item_id": "q0002", "params": {"a": 1e6, "b": 0.0}}], "options.start[1].params.a", 1e6),
    ],
)
def test_a_mistake_names_field_and_value(client, contract, knows_start, start, field, value):
    rows = [{"user_id": "u1", "item_id": "q0001", "is_correct": 1}]
    response = client.post("/irt/calibrate", json={"observations": rows, "options": {"start": start}})
    problem = contract.problem(response, 422, "invalid-request")
    if not knows_start:
        assert [error["field"] for error in problem["errors"]] == ["options.start"]
        pytest.skip("the service refuses a start")
    assert [(error["field"], error["value"]) for error in problem["errors"]] == [(field, value)]
