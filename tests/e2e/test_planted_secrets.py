"""Searches everything that a run leaves behind for secrets: planted ones, and those of the installation."""

from __future__ import annotations

import json
import threading
from urllib.parse import quote

import psutil
import pytest

from local import demo
from local.stack import DAG_ID
from tests.e2e.conftest import PLANTED

pytestmark = pytest.mark.e2e


class CommandLines(threading.Thread):
    """Collects the command lines of all processes of the machine until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            for process in psutil.process_iter(["cmdline"]):
                self.seen.add(" ".join(process.info["cmdline"] or []))

    def stop(self) -> set[str]:
        self._over.set()
        self.join()
        return self.seen


@pytest.fixture(scope="module")
def secrets(stack):
    return {**PLANTED, **stack.home.secrets()}


@pytest.fixture(scope="module")
def run(stack, first_run):
    """A run of both banks, one of which fails, and the command lines seen meanwhile."""
    watch = CommandLines()
    watch.start()
    with stack.database() as connection:
        connection.execute("update question set meta = jsonb_build_object('hidden', meta) where topic_id = 'math'")
    try:
        run_id = stack.api.trigger(DAG_ID, "manual__searched")
        assert demo.follow(stack, run_id, print) == "failed"
    finally:
        with stack.database() as connection:
            connection.execute("update question set meta = meta -> 'hidden' where meta ? 'hidden'")
    return run_id, watch.stop()


def leaks(text, secrets):
    return sorted(name for name, value in secrets.items() if value in text)


def test_the_search_finds_what_is_there(secrets):
    assert leaks(json.dumps({"x": [PLANTED["database"]]}), secrets) == ["database"]


def test_command_lines(run, secrets):
    _, seen = run
    # It was looking while tasks and calibrations ran.
    assert any("irt_engine" in line for line in seen)
    assert len(seen) > 10
    assert leaks("\n".join(seen), secrets) == []


def test_log_files(stack, run, secrets):
    logs = [*stack.home.logs.rglob("*.log"), *(stack.home.airflow / "logs").rglob("*.log")]
    assert any("manual__searched" in str(log) for log in logs)
    for log in logs:
        assert leaks(log.read_text(errors="replace"), secrets) == [], log


def test_answers_of_the_api(stack, run, secrets):
    """Task instances with their rendered templates, XComs, logs: the UI shows what the API returns."""
    run_id, _ = run
    path = f"dags/{DAG_ID}/dagRuns/{quote(run_id)}"
    answers = [stack.api.call("GET", path), stack.api.call("GET", f"dags/{DAG_ID}/details")]
    tasks = stack.api.tasks(DAG_ID, run_id)
    rendered = [task["rendered_fields"] for task in tasks]
    assert any("run_key" in json.dumps(fields) for fields in rendered)
    entries = 0
    for task in tasks:
        where = f"{path}/taskInstances/{task['task_id']}/xcomEntries"
        listed = stack.api.call("GET", where, params={"map_index": task["map_index"]})["xcom_entries"]
        entries += len(listed)
        answers += [
            stack.api.call("GET", f"{where}/{e['key']}", params={"map_index": task["map_index"]}) for e in listed
        ]
        answers.append(stack.api.log(DAG_ID, run_id, task))
    assert entries > 5
    assert leaks(json.dumps([answers, tasks]), secrets) == []


def test_staged_objects(stack, run, secrets):
    files = [file for file in stack.home.staging.rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        assert leaks(file.read_bytes().decode("latin-1"), secrets) == [], file


def test_rows_of_the_project_database(stack, run, secrets):
    with stack.database() as connection:
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('irt', 'public')"
        ).fetchall()
        assert ("irt.run",) in tables
        for (table,) in tables:
            rows = connection.execute(f"select t::text from {table} as t").fetchall()
            assert leaks("\n".join(row for (row,) in rows), secrets) == [], table


def test_what_the_services_leave(stack, run, secrets):
    """The jobs of the calibration service."""
    files = [file for file in (stack.home.service / "engine-jobs").rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert leaks(file.read_bytes().decode("latin-1"), secrets) == [], file


def test_alerts(stack, run, secrets, alerts):
    bodies = [request.body.decode() for request in alerts.asked("POST", "/alerts")]
    assert any("manual__searched" in body for body in bodies)
    assert leaks("\n".join(bodies), secrets) == []
