"""Several runs of one bank: at once, late, and without a date."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from night import BANK, Night

from demo.data import midnight
from local.stack import DAG_ID
from local.waiting import wait_until

pytestmark = pytest.mark.e2e


def backfill_of_three_days(plant) -> list[Night]:
    """Through Airflow's REST API. All nights run at once: the DAG's `max_active_runs` does not apply to backfills."""
    body = {
        "dag_id": DAG_ID,
        "from_date": (midnight() - timedelta(days=4)).isoformat(),
        "to_date": (midnight() - timedelta(days=1)).isoformat(),
        "dag_run_conf": {"banks": [BANK]},
        "max_active_runs": 3,
    }
    plant.api.call("POST", "backfills", json=body)
    listed = plant.api.call("GET", f"dags/{DAG_ID}/dagRuns", params={"run_type": "backfill", "limit": 100})
    return [Night(plant, run["dag_run_id"]) for run in listed["dag_runs"]]


def test_runs_at_once_and_backfill(plant, night, barriers, outcomes):
    """Three older nights publish at the same time as a newer run; a manual run waits until the DAG has room."""
    waiting = Night(plant)
    with night.watched(), barriers("publish") as standing:
        with outcomes.of("runs of a bank at once", "publish") as outcome:
            night.trigger()
            standing.wait_at("publish")
            older = backfill_of_three_days(plant)
            assert len(older) == 3
            waiting.trigger()
            # One waits at the barrier and holds the bank's lock; the others wait for that lock.
            wait_until(
                lambda: plant.waiting_sessions() >= 2, what="an older run at the lock of its bank", work=plant.work
            )  # fmt: skip
            assert plant.api.run_state(DAG_ID, waiting.run_id) == "queued"
            plant.api.fail(DAG_ID, waiting.run_id)
            standing.release("publish")
            night.finish()
            outcome.outcome = "one after the other; the newest is what is published"
        with outcomes.of("backfill of three days", "the whole chain") as outcome:
            for one in older:
                one.finish()
                state, window_end = one.registry
                assert state == "superseded"
                assert window_end < night.registry[1]
                one.ran_once()
                one.rows_are_whole()
            outcome.outcome = "each superseded"


def test_manual_run_without_a_logical_date(plant, first_night, outcomes):
    """Its window ends when it was requested."""
    with outcomes.of("no logical date", "the whole chain") as outcome:
        found = plant.api.call("GET", f"dags/{DAG_ID}/dagRuns/{first_night.run_id}")
        assert (found["logical_date"], found["data_interval_end"], found["state"]) == (None, None, "success")
        run_after = datetime.fromisoformat(found["run_after"].replace("Z", "+00:00"))
        assert first_night.registry == ("published", run_after)
        outcome.outcome = "published"
