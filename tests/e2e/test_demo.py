"""The demo on a real Airflow: what a new user does first, and what an operator does next."""

from __future__ import annotations

import json
import re

import pytest

from irt.bank import SEVERITY
from local import demo, replay, report
from local.stack import DAG_ID, StackError, running_stack
from local.status import psql, show
from local.waiting import wait_until

pytestmark = pytest.mark.e2e

TABLES = {
    "mirt_item_params": "item_id, model, params, version",
    "mirt_ability": "user_id, theta, se, model, version",
}


def published(stack) -> dict[str, list]:
    with stack.database() as connection:
        return {
            table: connection.execute(f"select {columns} from {table} order by 1, 2").fetchall()
            for table, columns in TABLES.items()
        }


def fit_meta(stack) -> list:
    with stack.database() as connection:
        # Loaded again, the same result is a new publication.
        query = "select run_id, model_spec - 'publication_id', metrics from mirt_fit_meta order by 1"
        return connection.execute(query).fetchall()


def _tries(stack, run_id: str, task: str) -> int:
    """The try number of the math bank's task."""
    found = [t for t in stack.api.tasks(DAG_ID, run_id) if (t["task_id"], t["map_index"]) == (f"bank.{task}", 1)]
    return found[0]["try_number"]


def test_all_tasks_are_shown_with_their_times(first_run):
    # On a slow machine, lines about what is waited for come in between.
    lines = [line for line in first_run[1] if "waiting since" not in line]
    assert len(lines) == 1 + 2 * 7
    assert all(re.search(r"\d\d:\d\d:\d\d .* success +\d+\.\d s", line) for line in lines)


def test_lsat7_gives_the_published_result(stack, first_run):
    with stack.database() as connection:
        found = report.summary(connection, first_run[0])["lsat7"]
    assert found["slopes"] == pytest.approx([0.988, 1.081, 1.706, 0.765, 0.736], abs=0.01)
    assert found["intercepts"] == pytest.approx([1.856, 0.808, 1.804, 0.486, 1.855], abs=0.01)
    assert found["loglik"] == pytest.approx(-2658.805, abs=0.01)
    assert found["equal"] is True


def test_math_is_recovered_on_the_reference_scale(stack, first_run):
    with stack.database() as connection:
        summary = report.summary(connection, first_run[0])
    bank = next(b for b in summary["banks"] if b["bank"] == "math")
    assert (bank["responses"], bank["users"], bank["items"], bank["anchors"]) == (12_345, 500, 150, 50)
    assert (bank["checks_passed"], bank["state"]) == (len(SEVERITY), "published")
    # The sample has mean 0.4 and SD 1.2 on the reference scale, so those are the linking constants.
    assert bank["slope"] == pytest.approx(1.2, abs=0.12)
    assert bank["intercept"] == pytest.approx(0.4, abs=0.12)
    found = summary["math"]
    assert found["theta"]["correlation"] > 0.85
    assert found["b"]["correlation"] > 0.9
    assert abs(found["b"]["bias"]) < 0.15
    assert abs(found["theta"]["bias"]) < 0.15


def test_operators_find_what_they_grep_for(stack, first_run):
    run_id, _ = first_run
    tasks = {(t["task_id"], t["rendered_map_index"]): t for t in stack.api.tasks(DAG_ID, run_id)}
    logs = {
        name: "\n".join(stack.api.log(DAG_ID, run_id, tasks[f"bank.{name}", "math"]))
        for name in ("extract_responses", "extract_anchors", "calibrate", "check", "publish")
    }
    assert "Loaded 12345 observations from attempt view" in logs["extract_responses"]
    assert "Loaded 50 anchors/seeds from question.meta" in logs["extract_anchors"]
    assert "Calling R IRT service" in logs["calibrate"]
    assert re.search(r"Linking constants received: slope=1\.\d+ intercept=0\.\d+ n_anchors_used=\d+", logs["calibrate"])
    assert "Calibration completed successfully" in logs["calibrate"]
    assert re.search(r"check linking_constants +passed +slope 1\.", logs["check"])
    assert f"Published run {run_id}/math" in logs["publish"]


def test_the_calibration_was_a_job_that_was_waited_for(stack, first_run):
    """By the worker itself, or by the triggerer if it takes longer: see tests/plugins and tests/faults."""
    run_id, _ = first_run
    task = next(t for t in stack.api.tasks(DAG_ID, run_id) if t["task_id"] == "bank.calibrate")
    log = stack.api.log(DAG_ID, run_id, task)
    submitted = next(n for n, line in enumerate(log) if "runs the calibration as job irt/jobs/" in line)
    received = next(n for n, line in enumerate(log) if "Linking constants received" in line)
    assert submitted < received


@pytest.mark.parametrize("task", ["extract_responses", "calibrate", "load", "publish"])
def test_a_cleared_task_runs_again_and_changes_nothing(stack, first_run, task):
    run_id, _ = first_run
    before, meta = published(stack), fit_meta(stack)
    tries = _tries(stack, run_id, task)
    stack.api.clear(DAG_ID, run_id, f"bank.{task}", 1, downstream=task != "publish")
    wait_until(lambda: stack.api.run_state(DAG_ID, run_id) not in {"success", "failed"}, what="the clear")
    assert demo.follow(stack, run_id, print) == "success"
    assert _tries(stack, run_id, task) == tries + 1
    assert (published(stack), fit_meta(stack)) == (before, meta)


def test_a_bank_that_fails_does_not_stop_the_others(stack, first_run):
    """Anchors with equal difficulties cannot link; the service reports that, and lsat7 continues."""
    before = published(stack)
    with stack.database() as connection:
        metas = connection.execute("select id, meta from question where topic_id = 'math'").fetchall()
        connection.execute("update question set meta = '{}' where topic_id = 'math' and id > 1003")
    run_id = stack.api.trigger(DAG_ID, "manual__few-anchors", {"publish_question_meta": False})
    try:
        assert demo.follow(stack, run_id, print) == "failed"
    finally:
        with stack.database() as connection, connection.cursor() as cursor:
            rows = [(json.dumps(meta), identity) for identity, meta in metas]
            cursor.executemany("update question set meta = %s where id = %s", rows)
    states = {(t["rendered_map_index"], t["task_id"]): t for t in stack.api.tasks(DAG_ID, run_id)}
    assert states["lsat7", "bank.publish"]["state"] == "success"
    failed = states["math", "bank.calibrate"]
    # Not worth a retry: it fails at its first try, with the reason.
    assert (failed["state"], failed["try_number"]) == ("failed", 1)
    assert "anchors" in "\n".join(stack.api.log(DAG_ID, run_id, failed))
    after = published(stack)
    assert [row for row in after["mirt_item_params"] if row[3] == "math"] == [
        row for row in before["mirt_item_params"] if row[3] == "math"
    ]


def test_a_run_is_replayed_to_the_byte(stack, first_run, capsys):
    for bank, threads in (("lsat7", 1), ("math", 2)):
        assert replay.run(stack.home, f"{first_run[0]}/{bank}", threads=threads) == 0, capsys.readouterr()
        assert capsys.readouterr().out.count("the same bytes, SHA-256") == 3
    with stack.database() as connection:
        contracts = connection.execute("select distinct contract from irt.receipt").fetchall()
    assert contracts == [("1.0",)]


def test_a_run_that_cannot_go_in_a_pod_is_refused_at_its_start(stack, first_run):
    run_id = stack.api.trigger(DAG_ID, "manual__no-pods", {"banks": ["math"], "runtime": "pod"})
    assert demo.follow(stack, run_id, print) == "failed"
    [plan] = [task for task in stack.api.tasks(DAG_ID, run_id) if task["task_id"] == "plan_runs"]
    assert (plan["state"], plan["try_number"]) == ("failed", 1)
    assert "runtime: pod: the variable irt_pods is not set" in "\n".join(stack.api.log(DAG_ID, run_id, plan))


def test_a_dry_run_by_the_form(stack, first_run):
    before = published(stack)
    run_id = stack.api.trigger(DAG_ID, "manual__dry", {"banks": ["lsat7"], "dry_run": True, "model": "Rasch"})
    assert demo.follow(stack, run_id, print) == "success"
    tasks = {t["task_id"]: t["state"] for t in stack.api.tasks(DAG_ID, run_id)}
    assert (tasks["bank.check"], tasks["bank.publish"]) == ("success", "skipped")
    with stack.database() as connection:
        query = (
            "select run.state, load.result -> 'metrics' ->> 'loglik' from irt.run join irt.load using (load_id) "
            "where run.dag_run_id = 'manual__dry'"
        )
        state, loglik = connection.execute(query).fetchone()
    assert state == "accepted"
    # Rasch with a free variance, R mirt 1.45.1 on the same grid (reference case a_lsat7).
    assert float(loglik) == pytest.approx(-2664.901, abs=0.01)
    assert published(stack) == before


def test_a_form_with_a_mistake_is_refused(stack):
    import requests

    with pytest.raises(requests.HTTPError, match="400"):
        stack.api.trigger(DAG_ID, "manual__wrong", {"model": "9PL"})


def test_status_and_psql_while_it_runs(stack, first_run, capfd):
    assert show(stack.home) == 0
    text = capfd.readouterr().out
    assert re.search(r"math .* 150 .* 500 .* 50 .* 1\.\d{4}", text)
    assert psql(stack.home, ["-At", "-c", "select count(*) from mirt_item_params"]) == 0
    # A logger set up by another test may print a line above it.
    assert capfd.readouterr().out.splitlines()[-1] == "155"


def test_a_second_stack_on_the_same_state_is_refused(stack):
    with pytest.raises(StackError, match="is running here; stop it first"), running_stack(stack.home):
        pass
