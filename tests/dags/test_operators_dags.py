"""The DAGs that operators use by hand, and the daily check."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowException


def upstream(dag):
    return {task.task_id: task.upstream_task_ids for task in dag.tasks}


def fill_in(dag, form):
    """The params of a run; fields left out of the form take their defaults, if any."""
    return {name: param.resolve(form[name]) if name in form else param.resolve() for name, param in params_of(dag)}


def params_of(dag):
    return [(name, dag.params.get_param(name)) for name in dag.params]


def test_daily_check(bag):
    dag = bag.dags["irt_daily_check"]
    assert upstream(dag) == {
        "status": set(),
        "last_calibration": {"status"},
        "remove_old": {"status"},
        "remove_pods": {"status"},
    }
    assert dag.schedule == "0 0 * * *"
    # 09:00 in Seoul, summer and winter.
    assert dag.timezone.utcoffset(datetime(2026, 7, 1)) == timedelta(0)
    assert dag.catchup is False
    assert dag.get_task("last_calibration").banks == ["lsat7", "math"]
    assert dag.get_task("last_calibration").schedule == bag.dags["irt_calibration_nightly"].schedule == "0 3 * * *"


def test_rollback(bag):
    dag = bag.dags["irt_publish_rollback"]
    assert upstream(dag) == {"choose": set(), "roll_back": {"choose"}}
    assert dag.schedule is None
    assert dag.params.get_param("bank").schema["enum"] == ["lsat7", "math"]


@pytest.mark.parametrize(
    ("dag_id", "form"),
    [
        ("irt_publish_rollback", {"bank": "math"}),
        ("irt_publish_rollback", {"bank": "math", "run_key": "r/math", "reason": "too short"}),
        ("irt_publish_rollback", {"bank": "nobody", "run_key": "r/math", "reason": "the keys were wrong"}),
        ("irt_publish_rejected", {"run_key": 7}),
    ],
)
def test_forms_that_are_refused(bag, dag_id, form):
    with pytest.raises(ValueError):
        fill_in(bag.dags[dag_id], form)


@pytest.mark.parametrize("reason", ["wrong keys", "정답이 바뀌었습니다"])
def test_ten_characters_are_a_reason(bag, reason):
    form = {"bank": "math", "run_key": "r/math", "reason": reason}
    assert fill_in(bag.dags["irt_publish_rollback"], form)["reason"] == reason
    asked = bag.dags["irt_publish_rejected"].get_task("approve").params.get_param("reason")
    assert asked.resolve(reason) == reason
    with pytest.raises(ValueError, match="too short"):
        asked.resolve(reason[1:])
    assert complete(bag, "Approve", reason)[0]["params_input"] == {"reason": reason}
    with pytest.raises(AirflowException, match="is too short; give at least 10 characters"):
        complete(bag, "Approve", f" {reason[1:]} ")


def test_forms_that_are_taken(bag):
    form = {"bank": "math", "run_key": "r/math", "reason": "the keys were wrong"}
    assert fill_in(bag.dags["irt_publish_rollback"], form) == form | {"items_only": False}
    # Without a run, the person is asked for one.
    assert fill_in(bag.dags["irt_publish_rejected"], {}) == {"run_key": None}
    assert fill_in(bag.dags["irt_publish_rejected"], {"run_key": "r/math"}) == {"run_key": "r/math"}


@pytest.mark.parametrize("text", ["123", "1e5", "[1, 2]", "'quoted'", "None", "{{ 7 * 7 }}"])
@pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [
        ("irt_publish_rollback", "choose"),
        ("irt_publish_rollback", "roll_back"),
        ("irt_publish_rejected", "choose"),
        ("irt_publish_rejected", "review"),
    ],
)
def test_what_is_written_into_a_form_stays_as_it_is(bag, dag_id, task_id, text):
    task = copy.copy(bag.dags[dag_id].get_task(task_id))
    chosen = SimpleNamespace(xcom_pull=lambda task_id: {"chosen_options": [text]})
    form = {"bank": "math", "run_key": text, "reason": text, "items_only": False}
    task.render_template_fields({"params": form, "ti": chosen})
    assert task.run_key == text
    assert getattr(task, "reason", text) == text


def test_publish_rejected(bag):
    dag = bag.dags["irt_publish_rejected"]
    assert upstream(dag) == {"choose": set(), "review": {"choose"}, "approve": {"review"}, "publish": {"approve"}}
    assert dag.schedule is None
    approve = dag.get_task("approve")
    assert isinstance(approve, ApprovalOperator)
    assert approve.response_timeout == timedelta(days=1)
    # Without an answer nothing is published.
    assert approve.defaults == ["Reject"]


@pytest.mark.parametrize("dag_id", ["irt_daily_check", "irt_publish_rejected", "irt_publish_rollback"])
def test_every_failure_is_told_of(bag, dag_id):
    for task in bag.dags[dag_id].tasks:
        assert [type(callback).__name__ for callback in task.on_failure_callback] == ["RunNotifier"], task.task_id
        assert task.retries == 3


def test_consumers_are_told_of_every_publication(bag):
    """The same assets, whichever task publishes."""
    outlets = {
        (dag_id, task.task_id): sorted(asset.name for asset in task.outlets)
        for dag_id, dag in bag.dags.items()
        for task in dag.tasks
        if task.outlets
    }
    published = ["irt_bank", "irt_publication", "mirt_ability", "mirt_fit_meta", "mirt_item_params"]
    assert outlets == {
        ("irt_calibration_nightly", "bank.publish"): published,
        ("irt_publish_rejected", "publish"): published,
        ("irt_publish_rollback", "roll_back"): published,
    }


def complete(bag, chosen, reason, user="kim"):
    """The task's result for this answer; without a user, for a time-out."""
    answer = {"chosen_options": [chosen], "params_input": {"reason": reason}, "responded_at": datetime(2026, 5, 1)}
    answer["responded_by_user"] = user and {"id": "7", "name": user}
    task = copy.copy(bag.dags["irt_publish_rejected"].get_task("approve"))
    skipped = []
    task.skip = lambda **asked: skipped.append(asked)
    return task.execute_complete({"ti": None, "task": task}, answer), skipped


def test_an_approval_wants_a_reason(bag):
    answer, skipped = complete(bag, "Approve", "the bank was renewed")
    assert (answer["params_input"], skipped) == ({"reason": "the bank was renewed"}, [])
    for reason in ("ok", "  short  ", "", None):
        with pytest.raises(AirflowException, match="is too short; give at least 10 characters"):
            complete(bag, "Approve", reason)
    assert complete(bag, "Reject", None)[1]


def test_no_answer_is_a_rejection_and_no_mistake(bag):
    answer, skipped = complete(bag, "Reject", None, user=None)
    assert answer["chosen_options"] == ["Reject"]
    assert len(skipped) == 1
