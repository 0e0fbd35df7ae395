"""Queries of Airflow's API whose answers need interpretation."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from local.airflow_api import AirflowApi
from tests.scripted import Answer, scripted_server


@pytest.fixture
def api():
    with scripted_server() as (server, port):
        runs = [
            {"dag_run_id": "interrupted", "queued_at": "2026-05-01T02:59:59Z"},
            {"dag_run_id": "of the schedule, a moment ago", "queued_at": "2026-05-01T03:00:01.500000Z"},
        ]
        script = Answer(200, {"dag_runs": runs})
        server.script["GET", "/api/v2/dags/d/dagRuns"] = script
        # The path includes the query, as the server sees it.
        server.script["GET", "/api/v2/dags/d/dagRuns?state=queued&state=running&limit=100"] = script
        yield AirflowApi(f"http://127.0.0.1:{port}", "secret")


def test_a_run_that_the_scheduler_has_just_made_was_not_interrupted(api):
    assert api.active_runs("d") == ["interrupted", "of the schedule, a moment ago"]
    started = datetime(2026, 5, 1, 3, 0, tzinfo=timezone.utc)
    assert api.active_runs("d", queued_before=started) == ["interrupted"]
