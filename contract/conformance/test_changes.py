"""With the rule `changed`, an item whose difficulty changed within the answers is found, dated and sized.

A service that does not list the capability `changes` refuses the rule.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

START, DAYS, CHANGED_ON = datetime(2026, 8, 1, tzinfo=timezone.utc), 90, 60
RULE = {"verdicts": {"changed": {"action": "warn"}}}


@pytest.fixture(scope="module")
def knows_changes(health) -> bool:
    return "changes" in health.get("capabilities", [])


def columns() -> dict[str, list[Any]]:
    """Answers of 1,200 users to 20 items over 90 days; from day 60 on, q07 is easier by 1.2."""
    rng = np.random.default_rng(61)
    a, b, theta = rng.lognormal(0, 0.2, 20), rng.normal(0, 0.9, 20), rng.normal(size=1200)
    user, item = np.divmod(np.arange(1200 * 20), 20)
    day = rng.uniform(0, DAYS, 1200)[user]
    difficulty = b[item] - 1.2 * ((item == 7) & (day >= CHANGED_ON))
    right = rng.random(user.size) < 1 / (1 + np.exp(-a[item] * (theta[user] - difficulty)))
    return {
        "user_id": [f"u{u:04d}" for u in user],
        "item_id": [f"q{j:02d}" for j in item],
        "is_correct": right.astype(int).tolist(),
        "responded_at": [str(START + timedelta(days=each)) for each in day],
    }


@pytest.fixture(scope="module")
def calibrate(client, contract, knows_changes):
    def calibrate(observations: Any, **request: Any) -> dict[str, Any]:
        response = client.post("/irt/calibrate", json={"observations": observations, **request})
        if not knows_changes:
            problem = contract.problem(response, 422, "invalid-request")
            assert [error["field"] for error in problem["errors"]] == ["verdicts.changed"]
            assert "capability `changes`" in problem["detail"]
            pytest.skip("the service does not look for changes, and says so in /healthz and in its refusal")
        assert response.status_code == 200, response.text
        contract.check("Calibration", response.json())
        return response.json()

    return calibrate


def reasons(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    items = result["item_params"] + result["held"]
    return {row["item_id"]: reason for row in items for reason in row["verdict"]["reasons"]}


def rows(observations: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(observations, row, strict=True)) for row in zip(*observations.values(), strict=True)]


@pytest.mark.parametrize("form", [dict, rows])
def test_a_change_is_dated_and_sized(calibrate, form):
    found = reasons(calibrate(form(columns()), **RULE))
    assert list(found) == ["q07"]
    reason = found["q07"]
    assert reason["reason"] == "changed" and reason["parameter"] == "b" and reason["limit"] == 0.3
    assert reason["figure"] == pytest.approx(-1.2, abs=0.4) and reason["probability"] < 1e-4
    since = (datetime.fromisoformat(reason["at"]) - START) / timedelta(days=1)
    assert since == pytest.approx(CHANGED_ON, abs=5)


def test_a_changed_item_is_held_or_estimated_from_its_newer_answers(calibrate):
    held = calibrate(columns(), verdicts={"changed": {}})
    assert [row["item_id"] for row in held["held"]] == ["q07"]
    newer = calibrate(columns(), verdicts={"changed": {"action": "use_newer"}})
    [row] = [row for row in newer["item_params"] if row["item_id"] == "q07"]
    [reason] = row["verdict"]["reasons"]
    assert reason["action"] == "use_newer" and not newer["held"]
    given = columns()
    since = datetime.fromisoformat(reason["at"])
    assert row["n_responses"] == pytest.approx(
        sum(
            item == "q07" and datetime.fromisoformat(at) >= since
            for item, at in zip(given["item_id"], given["responded_at"], strict=True)
        ),
        abs=1,
    )


def test_the_rule_needs_times(client, contract, knows_changes):
    given = columns()
    del given["responded_at"]
    response = client.post("/irt/calibrate", json={"observations": given, **RULE})
    problem = contract.problem(response, 422, "invalid-request")
    expected = "observations.responded_at" if knows_changes else "verdicts.changed"
    assert [error["field"] for error in problem["errors"]] == [expected]


def test_a_wrong_time_is_named(client, contract, knows_changes):
    given = columns()
    given["responded_at"][5] = "yesterday"
    response = client.post("/irt/calibrate", json={"observations": given, **RULE})
    problem = contract.problem(response, 422, "invalid-request")
    expected = "observations[5].responded_at" if knows_changes else "verdicts.changed"
    assert [error["field"] for error in problem["errors"]] == [expected]


def test_an_ignored_rule_needs_nothing(client):
    given = columns()
    del given["responded_at"]
    request = {"observations": given, "verdicts": {"changed": {"action": "ignore"}}}
    response = client.post("/irt/calibrate", json=request)
    assert response.status_code == 200, response.text
