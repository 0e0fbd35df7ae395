"""Alternatives to 2PL and Stocking-Lord through the whole chain: 3PL, and fixed anchors."""

from __future__ import annotations

import pytest

from local import demo
from local.stack import DAG_ID

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def runs(stack, first_run):
    """The math bank with 3PL, and with fixed anchors; both are dry runs, so that other tests see the first run."""
    asked = {"manual__3pl": ({"model": "3PL"}, "failed"), "manual__fixed": ({"linking_method": "fixed"}, "success")}
    for run_id, (form, ends) in asked.items():
        stack.api.trigger(DAG_ID, run_id, {"banks": ["math"], "dry_run": True, **form})
        assert demo.follow(stack, run_id, print) == ends
    with stack.database() as connection:
        query = (
            "select run.dag_run_id, run.state, load.result from irt.run join irt.load using (load_id) "
            "where run.dag_run_id = any(%s)"
        )
        return {run_id: (state, result) for run_id, state, result in connection.execute(query, [list(asked)])}


def rows(stack, run_id, columns):
    with stack.database() as connection:
        return connection.execute(
            f"select {columns} from irt.run_item where run_key = %s", [f"{run_id}/math"]
        ).fetchall()


def test_3pl(stack, runs):
    state, result = runs["manual__3pl"]
    # The answers are from a 2PL bank, so with guessing its items come out harder. Whether to publish such a jump is a
    # person's decision.
    assert state == "rejected"
    with stack.database() as connection:
        failed = "select check_name from irt.run_check where run_key = %s and not passed and severity = 'fail'"
        assert connection.execute(failed, ["manual__3pl/math"]).fetchall() == [("difficulty_shift",)]
    assert result["model_spec"]["model"] == "3PL"
    items = rows(stack, "manual__3pl", "model, c, se_c")
    assert len(items) >= 140
    # The default prior on guessing keeps all items off the bounds.
    assert all(model == "3PL" and 0 < c < 0.6 and se_c > 0 for model, c, se_c in items)
    assert result["model_spec"]["linking_constants"]["n_anchors_used"] >= 40


def test_held_anchors(stack, runs):
    state, result = runs["manual__fixed"]
    assert state == "accepted"
    constants = result["model_spec"]["linking_constants"]
    assert (constants["method"], constants["slope"], constants["intercept"]) == ("fixed", 1.0, 0.0)
    held = rows(stack, "manual__fixed", "item_id, a, b, se_b, anchor")
    with stack.database() as connection:
        query = "select id::text, (meta -> 'irt' ->> 'a')::float8, (meta -> 'irt' ->> 'b')::float8 from question"
        known = {item: (a, b) for item, a, b in connection.execute(query)}
    anchors = [row for row in held if row[4] == "fixed"]
    assert len(anchors) >= 40
    assert all((a, b) == pytest.approx(known[item]) and se is None for item, a, b, se, _ in anchors)
    # The sample's distribution on the reference scale: mean 0.4, SD 1.2.
    latent = result["model_spec"]["latent"]
    assert latent["mean"] == pytest.approx(0.4, abs=0.12)
    assert latent["sd"] == pytest.approx(1.2, abs=0.12)
