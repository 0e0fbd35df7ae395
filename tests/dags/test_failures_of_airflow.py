"""Failures without an exception: processes that are lost or killed, and runs that fail as a whole.

The callbacks run where Airflow runs them: in a task's process, and in one of the DAG processor.
"""

from __future__ import annotations

import json
import os
import signal

import pytest

from irt.operators.daily import StatusOperator
from tests.runs import END
from tests.scripted import Answer, scripted_server

DAILY, NIGHTLY = "irt_daily_check", "irt_calibration_nightly"


@pytest.fixture
def alerts(monkeypatch):
    """Returns what was posted about a run to the web server behind `irt_alerts`."""
    with scripted_server() as (server, port):
        server.script["POST", "/alerts"] = Answer(200, {})
        connection = {"conn_type": "http", "host": f"http://127.0.0.1:{port}/alerts"}
        monkeypatch.setenv("AIRFLOW_CONN_IRT_ALERTS", json.dumps(connection))

        def posted(run_id):
            messages = [json.loads(request.body) for request in server.asked("POST", "/alerts")]
            return [message for message in messages if message["run_id"] == run_id]

        posted.server = server
        yield posted


def fail(operator, context):
    raise ValueError("as it happens")


def killed(operator, context):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_failed_task_is_told_of_once(tasks, alerts, monkeypatch):
    monkeypatch.setattr(StatusOperator, "execute", fail)
    tasks.new_run(DAILY, "once")
    assert tasks.run(DAILY, "once", "status", tries_left=False)[0] == "failed"
    requests = tasks.end(DAILY, "once")
    assert [request.msg for request in requests] == ["task_failure"]
    log = tasks.call_back(requests)
    assert "run once failed: each failed task was already reported" in log
    assert [message["reason"] for message in alerts("once")] == ["ValueError: as it happens"]


def test_an_alert_that_was_not_delivered_is_sent_at_the_end_of_the_run(tasks, alerts, monkeypatch):
    monkeypatch.setattr(StatusOperator, "execute", fail)
    tasks.new_run(DAILY, "again")
    alerts.server.script["POST", "/alerts"] = [Answer(503), Answer(200, {})]
    assert tasks.run(DAILY, "again", "status", tries_left=False)[0] == "failed"
    tasks.call_back(tasks.end(DAILY, "again"))
    assert [message["task"] for message in alerts("again")] == ["status", "status"]


def test_a_task_whose_process_was_killed(tasks, alerts, monkeypatch):
    """Its supervisor lives and reports the failure; Airflow calls no callback of the task."""
    monkeypatch.setattr(StatusOperator, "execute", killed)
    tasks.new_run(DAILY, "killed")
    assert tasks.run(DAILY, "killed", "status", tries_left=False)[0] == "failed"
    assert alerts("killed") == []
    tasks.call_back(tasks.end(DAILY, "killed"))
    [message] = alerts("killed")
    assert (message["kind"], message["task"]) == ("failed", "status")
    assert message["reason"].startswith("status: it failed and no alert was sent: it was killed")
    assert message["log"].endswith("/dags/irt_daily_check/runs/killed/tasks/status?try_number=1")


def test_a_task_that_the_scheduler_misses_is_told_of_at_once_and_once(tasks, alerts):
    tasks.new_run(NIGHTLY, "lost", {"banks": ["math"]})
    log = tasks.call_back(tasks.lost(NIGHTLY, "lost", "plan_runs"))
    [message] = alerts("lost")
    assert (message["kind"], message["task"]) == ("failed", "plan_runs")
    assert message["reason"].startswith("it ended without raising an error")
    assert message["log"].endswith("/runs/lost/tasks/plan_runs?try_number=4")
    assert "plan_runs failed: it ended" in log
    tasks.call_back(tasks.end(NIGHTLY, "lost"))
    assert len(alerts("lost")) == 1
    # No mark is left.
    assert tasks.variables() == []


def test_a_run_that_takes_too_long(tasks, alerts):
    tasks.new_run(NIGHTLY, "long", started=END)
    [request] = tasks.end(NIGHTLY, "long", last=False)
    assert request.msg == "timed_out"
    tasks.call_back([request])
    [message] = alerts("long")
    assert message["kind"] == "failed"
    assert message["reason"].startswith("the run did not finish within 12:00:00 (dagrun_timeout)")
