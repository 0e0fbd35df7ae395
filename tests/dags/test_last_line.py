"""The end of a task's log, from a process run by Airflow's own supervisor and task runner."""

from __future__ import annotations

import json

import pytest

REFUSED = 'OperationalError: connection failed: connection to server at "127.0.0.1", port 9 failed: Connection refused'


@pytest.fixture
def nobody_listens(monkeypatch):
    connection = {"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "password": "planted-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(connection))


def last_of(log: list[dict]) -> dict:
    """The last line that a person sees; the UI does not show the end of a group."""
    assert log[-1]["event"] == "::endgroup::"
    return log[-2]


def test_a_permanent_error(tasks, monkeypatch):
    monkeypatch.delenv("AIRFLOW_VAR_IRT_STAGING", raising=False)
    tasks.new_run("irt_calibration_nightly", "permanent")
    state, log = tasks.run("irt_calibration_nightly", "permanent", "plan_runs")
    assert state == "failed"
    last = last_of(log)
    assert last["level"] == "error"
    assert last["event"].startswith("plan_runs failed: variable irt_staging: it is not set")
    # Airflow's own lines come before it.
    events = [line["event"] for line in log]
    assert events.index("Task failed with exception") < events.index("Retry policy decision") < len(log) - 2


@pytest.mark.parametrize(
    "value",
    [
        '{"conn_type": "postgres", "password": "planted-secret"',
        '{"conn_type": "postgres", "port": "planted-secret"}',
        "postgres://user:planted-secret/x@host:5432/db",
        "planted-secret",
    ],
)
def test_a_broken_connection_is_named_and_nothing_of_it_is_logged(tasks, monkeypatch, tmp_path, value):
    monkeypatch.setenv("AIRFLOW_VAR_IRT_STAGING", tmp_path.as_uri())
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", '{"conn_type": "http", "host": "localhost"}')
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", value)
    run_id = f"broken-{hash(value)}"
    tasks.new_run("irt_calibration_nightly", run_id)
    state, log = tasks.run("irt_calibration_nightly", run_id, "plan_runs")
    assert state == "failed"
    assert last_of(log)["event"].startswith("plan_runs failed: connection seedtest_db: it is not ")
    assert "planted-secret" not in json.dumps(log)


def test_right_settings(tasks, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_VAR_IRT_STAGING", tmp_path.as_uri())
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", '{"conn_type": "http", "host": "localhost"}')
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", "postgresql://localhost/db")
    tasks.new_run("irt_calibration_nightly", "right", {"dry_run": True})
    assert tasks.run("irt_calibration_nightly", "right", "plan_runs")[0] == "success"


def test_a_try_that_is_repeated_and_the_last_one(tasks, nobody_listens):
    tasks.new_run("irt_daily_check", "tries")
    state, log = tasks.run("irt_daily_check", "tries", "status")
    assert state == "up_for_retry"
    last = last_of(log)
    assert (last["event"], last["action"]) == ("Retry policy decision", "default")
    assert last["reason"].startswith(REFUSED)
    state, log = tasks.run("irt_daily_check", "tries", "status", tries_left=False)
    assert state == "failed"
    assert last_of(log)["event"].startswith(f"status failed: {REFUSED}")
    assert "planted-secret" not in json.dumps(log)


def test_an_alert_that_cannot_be_delivered_comes_before_the_reason(tasks, nobody_listens, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_IRT_ALERTS", json.dumps({"conn_type": "http", "host": "127.0.0.1", "port": 9}))
    tasks.new_run("irt_daily_check", "undelivered")
    _, log = tasks.run("irt_daily_check", "undelivered", "status", tries_left=False)
    assert last_of(log)["event"].startswith(f"status failed: {REFUSED}")
    assert log[-3]["event"].startswith("alert not sent: [IRT] failed")
