"""What operators do in Airflow about a run that was rejected, or should not have been published."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local import demo
from local.stack import DAG_ID
from local.status import show
from tests.asked import asked

pytestmark = pytest.mark.e2e

REASON = "the items were written anew"


def run_dag(stack, run_id, conf, dag_id=DAG_ID):
    stack.api.pause(dag_id, False)
    stack.api.trigger(dag_id, run_id, conf)
    return demo.follow(stack, run_id, print, dag_id)


def told(alerts, run_id):
    messages = [json.loads(request.body) for request in alerts.asked("POST", "/alerts")]
    return [(m["kind"], m["task"]) for m in messages if m["run_id"] == run_id], messages


def newest(stack):
    with stack.database() as connection:
        return connection.execute(
            "select run_id, model_spec from mirt_fit_meta where model_spec ->> 'bank' = 'lsat7' "
            "order by fitted_at desc limit 1"
        ).fetchone()


def difficulties(stack):
    with stack.database() as connection:
        query = "select (params ->> 'b')::float8 from mirt_item_params where version = 'lsat7' order by item_id"
        return [row[0] for row in connection.execute(query)]


def events(stack, run_id):
    """The names of the assets and what their events say, one after the other."""
    found = stack.api.call("GET", "assets/events", params={"source_run_id": run_id, "limit": 100})["asset_events"]
    return sorted((event["name"], event["extra"]["run_key"], event["extra"]["verdict"]) for event in found)


def expected_events(run_key, verdict="accepted"):
    bank = run_key.partition("/")[2]
    names = [f"irt_bank_{bank}", "irt_publication", "mirt_ability", "mirt_fit_meta", "mirt_item_params"]
    return [(name, run_key, verdict) for name in names]


def test_other_dags_are_told_of_each_bank(stack, first_run):
    """Once for each publication: other tests clear tasks of this run, and a new load is a new publication."""
    run_id, _ = first_run
    expected = []
    for key in (f"{run_id}/lsat7", f"{run_id}/math"):
        with stack.database() as connection:
            query = "select count(*) from irt.publication where run_id = %s"
            [publications] = connection.execute(query, [key]).fetchone()
        assert publications >= 1
        expected += publications * expected_events(key)
    assert events(stack, run_id) == sorted(expected)


@pytest.fixture(scope="module")
def rejected(stack, first_run):
    """A rejected run of lsat7: in the history, all its difficulties differ by 5."""
    published, _ = newest(stack)
    move = "update irt.load_item set b = b + %s where load_id = (select load_id from irt.run where run_key = %s)"
    with stack.database() as connection:
        connection.execute(move, [5, published])
    assert run_dag(stack, "manual__rejected", {"banks": ["lsat7"]}) == "failed"
    with stack.database() as connection:
        connection.execute(move, [-5, published])
    return "manual__rejected/lsat7", published


def test_a_rejected_run_changes_nothing_and_somebody_is_told(stack, rejected, alerts):
    _, published = rejected
    assert newest(stack)[0] == published
    kinds, messages = told(alerts, "manual__rejected")
    assert kinds == [("rejected", "bank.check")]
    assert messages[-1]["bank"] == "lsat7"
    assert messages[-1]["report"].endswith("/irt/report?run=manual__rejected%2Flsat7")
    [report] = demo.report_files(stack.api, "manual__rejected")
    html = Path(urlsplit(report).path).read_text()
    assert "Rejected: these checks failed: difficulty_shift. Nothing was published." in html
    assert "difficulty_shift: mean of b shifted by -5.0000" in messages[-1]["reason"]
    assert "/dags/irt_calibration_nightly/runs/manual__rejected/tasks/bank.check" in messages[-1]["log"]


def test_status_says_what_failed(stack, rejected, capfd):
    assert show(stack.home) == 0
    text = capfd.readouterr().out
    assert "manual__rejected/lsat7 (rejected): difficulty_shift FAILED: mean of b shifted by -5.0000" in text


def test_a_person_publishes_it_with_a_reason(stack, rejected, alerts):
    run_key, _ = rejected
    dag_id, run_id = "irt_publish_rejected", "manual__approve"
    stack.api.pause(dag_id, False)
    stack.api.trigger(dag_id, run_id, {"run_key": run_key})
    path = asked(stack, dag_id, run_id, "approve")
    shown = stack.api.call("GET", path)
    assert shown["subject"] == f"Publish the rejected run {run_key}?"
    assert "| difficulty_shift | **FAILED** |" in shown["body"]
    stack.api.call("PATCH", path, json={"chosen_options": ["Approve"], "params_input": {"reason": REASON}})
    assert demo.follow(stack, run_id, print, dag_id) == "success"
    published, spec = newest(stack)
    assert published == run_key
    assert (spec["approval"]["by"], spec["approval"]["reason"]) == ("admin", REASON)
    assert events(stack, "manual__rejected") == []
    assert events(stack, run_id) == expected_events(run_key, "approved")


def test_and_returns_to_the_run_before(stack, rejected, alerts):
    _, before = rejected
    expected = difficulties(stack)
    with stack.database() as connection:
        connection.execute("update mirt_item_params set params = jsonb_set(params, '{b}', '9') where version = 'lsat7'")
    dag_id, run_id = "irt_publish_rollback", "manual__back"
    stack.api.pause(dag_id, False)
    stack.api.trigger(dag_id, run_id, {"bank": "lsat7", "reason": "the approval was a mistake"})
    path = asked(stack, dag_id, run_id, "choose")
    shown = stack.api.call("GET", path)
    assert before in shown["options"] and rejected[0] not in shown["options"]
    assert f"| {before} | " in shown["body"]
    stack.api.call("PATCH", path, json={"chosen_options": [before], "params_input": {}})
    assert demo.follow(stack, run_id, print, dag_id) == "success"
    assert events(stack, run_id) == expected_events(before)
    # The run that was taken back started from these, so its own differ by less than the tolerance of the estimation.
    assert difficulties(stack) == pytest.approx(expected, abs=1e-6)
    published, spec = newest(stack)
    assert (published, spec["run_key"]) == ("manual__back/lsat7#rollback", before)
    assert spec["rollback"]["by"] == "admin"


def test_the_daily_check_is_content_and_then_is_not(stack, rejected, alerts):
    assert run_dag(stack, "manual__content", {}, "irt_daily_check") == "success"
    with stack.database() as connection:
        connection.execute("update irt.publication set bank = 'other'")
    try:
        assert run_dag(stack, "manual__stale", {}, "irt_daily_check") == "failed"
    finally:
        with stack.database() as connection:
            connection.execute(
                "update irt.publication as p set bank = l.bank from irt.load as l where l.load_id = p.load_id"
            )
    kinds, messages = told(alerts, "manual__stale")
    assert kinds == [("failed", "last_calibration")]
    assert messages[-1]["reason"].startswith("bank lsat7 was never calibrated; bank math was never calibrated")


def test_a_publication_after_a_rejected_run_is_told_of_as_recovery(stack, rejected, alerts):
    assert run_dag(stack, "manual__recovered", {"banks": ["lsat7"]}) == "success"
    kinds, _ = told(alerts, "manual__recovered")
    # The rejected run was published in the end, so there is nothing to recover from.
    assert kinds == []
    with stack.database() as connection:
        connection.execute("update irt.run set state = 'rejected' where run_key = 'manual__recovered/lsat7'")
    assert run_dag(stack, "manual__again", {"banks": ["lsat7"]}) == "success"
    kinds, _ = told(alerts, "manual__again")
    assert kinds == [("recovered", "bank.publish")]


def test_a_report_that_fails_is_no_failure_of_the_night(stack, first_run, alerts):
    with stack.database() as connection:
        connection.execute("alter table irt.load_item_answers rename to hidden")
    try:
        assert run_dag(stack, "manual__no_report", {"banks": ["lsat7"], "dry_run": True}) == "success"
    finally:
        with stack.database() as connection:
            connection.execute("alter table irt.hidden rename to load_item_answers")
    states = {task["task_id"]: task["state"] for task in stack.api.tasks(DAG_ID, "manual__no_report")}
    assert (states["bank.check"], states["bank.report"]) == ("success", "failed")
    assert told(alerts, "manual__no_report")[0] == []
