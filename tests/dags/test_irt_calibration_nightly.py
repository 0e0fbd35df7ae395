"""The DAG as the scheduler sees it."""

from __future__ import annotations

import json
import runpy
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from irt.banks import banks_of
from irt.errors import BadDataError
from tests.runs import END, FORM


@pytest.fixture(scope="module")
def dag(bag):
    return bag.dags["irt_calibration_nightly"]


def test_which_task_stands_upstream_of_which(dag):
    upstream = {task.task_id: task.upstream_task_ids - {"plan_runs"} for task in dag.tasks}
    assert upstream == {
        "plan_runs": set(),
        "bank.extract_responses": set(),
        "bank.extract_anchors": {"bank.extract_responses"},
        "bank.calibrate": {"bank.extract_anchors"},
        "bank.load": {"bank.calibrate"},
        "bank.check": {"bank.load"},
        "bank.publish": {"bank.check"},
        "bank.report": {"bank.publish"},
    }


def test_the_report_is_written_whatever_happened_and_decides_nothing(dag):
    """Airflow leaves teardowns out of the state of a run, and runs them after failures."""
    report = dag.get_task("bank.report")
    assert report.is_teardown and report.on_failure_fail_dagrun is False
    assert report.trigger_rule.value == "all_done_setup_success"


def test_schedule(dag):
    assert dag.schedule == "0 3 * * *"
    assert dag.timezone.utcoffset(datetime(2026, 7, 1)) == timedelta(0)
    assert dag.start_date == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    assert dag.dagrun_timeout == timedelta(hours=12)
    assert dag.tags == {"irt", "calibration"}
    assert "Nightly IRT calibration" in dag.doc_md


def test_every_task_has_a_timeout_and_the_retry_policy(dag):
    for task in dag.tasks:
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=2), task.task_id
        assert task.retries == 3
        # A factor: in Airflow 3.3, True counts as 1, so pauses would not grow.
        assert task.retry_exponential_backoff == 2.0
        assert type(task.retry_policy).__name__ == "RunRetryPolicy"


def test_a_late_run_is_told_of_at_six(dag):
    [deadline] = dag.deadline
    assert type(deadline.reference).__name__ == "DagRunLogicalDateDeadline"
    assert deadline.interval == timedelta(hours=3)
    assert deadline.callback.path == "irt.alerts.deadline_missed"


def test_every_failure_is_told_of_and_a_recovery_by_the_publication(dag):
    for task in dag.tasks:
        told = [type(callback).__name__ for callback in task.on_failure_callback or []]
        assert told == ([] if task.task_id == "bank.report" else ["RunNotifier"]), task.task_id
        told = [type(callback).__name__ for callback in task.on_success_callback or []]
        assert told == (["RecoveryNotifier", "ItemNotifier"] if task.task_id == "bank.publish" else []), task.task_id


def test_a_run_that_fails_as_a_whole_is_told_of(bag):
    for dag in bag.dags.values():
        assert type(dag.on_failure_callback).__name__ == "DagRunNotifier", dag.dag_id


def test_publish_feeds_the_assets_of_the_three_tables_and_of_its_bank(dag):
    publish = dag.get_task("bank.publish")
    names = {asset.name for asset in publish.outlets}
    assert names == {"mirt_item_params", "mirt_ability", "mirt_fit_meta", "irt_publication", "irt_bank"}
    # An asset that no DAG names is unknown until its first event.
    assert {"irt_bank_lsat7", "irt_bank_math"} <= {asset.name for asset in publish.inlets}


def test_form(dag):
    defaults = {name: dag.params[name] for name in dag.params}
    assert defaults == {
        "banks": ["lsat7", "math"],
        "model": "as configured",
        "lookback_days": None,
        "attempt_policy": "as configured",
        "max_responses": None,
        "linking_method": "as configured",
        "runtime": "as configured",
        "dry_run": False,
        "publish_question_meta": False,
    }
    for name in defaults:
        schema = dag.params.get_param(name).schema
        assert schema["type"] and schema["title"]
        assert dag.params.get_param(name).description


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("banks", []),
        ("banks", ["nobody"]),
        ("banks", ["math", "math"]),
        ("model", "4PL"),
        ("lookback_days", 0),
        ("lookback_days", "60"),
        ("attempt_policy", "best"),
        ("max_responses", -1),
        ("max_responses", 10**30),
        ("linking_method", "equipercentile"),
        ("runtime", "laptop"),
        ("model", "2PL'; drop table question; --"),
        ("banks", ["math'; drop table question; --"]),
        ("dry_run", "yes"),
    ],
)
def test_form_refuses(dag, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    param = dag.params.get_param(name)
    with pytest.raises(ParamValidationError):
        param.resolve(value=value)


@pytest.fixture
def plan(dag, monkeypatch, tmp_path):
    """Calls `plan_runs` with a DAG run's conf; all other settings are valid."""
    monkeypatch.setenv("AIRFLOW_VAR_IRT_STAGING", tmp_path.as_uri())
    for name, kind in (("SEEDTEST_DB", "postgres"), ("R_IRT", "http")):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps({"conn_type": kind, "host": "localhost"}))

    def call(conf=None):
        run = SimpleNamespace(conf=conf, run_id="r", data_interval_end=END, run_after=END)
        form = FORM | {"banks": ["lsat7", "math"]} | (conf or {})
        return dag.get_task("plan_runs").python_callable(dag_run=run, params=form)

    return call


def test_a_run_for_each_bank(plan, tmp_path):
    assert [run["run_key"] for run in plan()] == ["r/lsat7", "r/math"]
    assert [run["run_key"] for run in plan({"banks": ["math"], "dry_run": True})] == ["r/math"]
    assert list(tmp_path.iterdir()) == []


def test_no_run_is_planned_with_a_key_that_the_form_does_not_have(plan, monkeypatch):
    monkeypatch.setattr("irt.hooks.postgres.ArrowPostgresHook.get_first", lambda *_: (False,))
    with pytest.raises(BadDataError, match="conf: 'dryrun' is not a field of the form, perhaps dry_run"):
        plan({"dryrun": True})


def test_no_run_is_planned_with_an_own_check_that_cannot_run(plan, dag, database, monkeypatch, tmp_path):
    (tmp_path / "new.sql").write_text("select passed, figure, threshold, finding from nowhere")
    (tmp_path / "new.yaml").write_text("severity: warn")
    banks = banks_of([{"name": name, "topics": [name]} for name in ("lsat7", "math")], checks_folder=tmp_path)
    known = dag.get_task("plan_runs").python_callable.__globals__
    monkeypatch.setitem(known, "BANKS", banks)
    monkeypatch.setitem(known, "OWN_CHECKS_FOLDER", str(tmp_path))
    with pytest.raises(BadDataError, match='bank lsat7: own check new: relation "nowhere" does not exist; bank math: '):
        plan()


def test_check_gets_the_folder_of_own_checks(dag, monkeypatch, tmp_path):
    assert dag.get_task("bank.check").own_checks_folder is None
    banks = banks_of([{"name": "math", "topics": ["math"]}], checks_folder=tmp_path)
    monkeypatch.setattr("irt.banks.load_banks", lambda: banks)
    found = runpy.run_path(dag.fileloc)["dag"]
    assert found.get_task("bank.check").own_checks_folder == str(tmp_path)
    assert DagSerialization.serialize_dag(found)


def test_no_run_is_planned_without_staging_or_a_connection(plan, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_R_IRT")
    with pytest.raises(BadDataError, match="connection r_irt"):
        plan()
    monkeypatch.setenv("AIRFLOW_VAR_IRT_STAGING", "/srv/irt")
    with pytest.raises(BadDataError, match="variable irt_staging"):
        plan()
