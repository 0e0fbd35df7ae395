"""What the OpenLineage provider gets of the operators: its own manager asks, its client writes to a file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.sdk.exceptions import AirflowSkipException
from airflow.utils.state import TaskInstanceState
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, RunEvent
from openlineage.client.event_v2 import Run as LineageRun
from openlineage.client.transport.file import FileConfig, FileTransport

from irt.banks import banks_of
from irt.errors import ChecksFailedError
from irt.operators.calibrate import CalibrateOperator
from irt.operators.check import CheckRunOperator
from irt.operators.extract import ExtractAnchorsOperator, ExtractResponsesOperator
from irt.operators.load import LoadOperator
from irt.operators.publish import PublishOperator
from irt.operators.rollback import RollbackOperator
from irt.published import PUBLISHED
from irt.result import parse_result
from irt.staged_result import write_result
from irt.staging import ANCHORS, write_json
from tests.chain import CHECKS, accept, ready, register, result_of, stage
from tests.runs import a_run

SUCCESS, FAILED, RUNNING = TaskInstanceState.SUCCESS, TaskInstanceState.FAILED, TaskInstanceState.RUNNING
BANK = {"name": "math", "topics": ["math"]}
PASSWORD = "planted-secret-4711"
ENGINE = {"name": "irt_engine", "version": "1.2.3", "packages": {"numba": "0.1"}}
SENT = {
    "inputs": {"responses.parquet": "aa" * 32, "anchors.json": "bb" * 32, "request.json": "cc" * 32},
    "contract": "1.0",
}


SERVER = "postgres://localhost:5432"


@pytest.fixture
def told(database, monkeypatch, tmp_path):
    """Asks for an operator's lineage as the provider does, and writes the event as its client does."""
    connection = json.loads(os.environ["AIRFLOW_CONN_SEEDTEST_DB"]) | {"password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(connection))
    file = tmp_path / "events.json"
    client = OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=str(file), append=True)))

    def ask(operator, state=SUCCESS) -> dict:
        instance = SimpleNamespace(task=operator, state=state)
        found = ExtractorManager().extract_metadata(SimpleNamespace(run_id="run-1"), operator, state, instance)
        event = RunEvent(
            eventTime="2026-05-01T03:00:00Z", run=LineageRun(str(uuid4()), found.run_facets),
            job=Job("airflow", operator.task_id), inputs=found.inputs, outputs=found.outputs, producer="https://airflow",
        )  # fmt: skip
        client.emit(event)
        written = file.read_text().splitlines()[-1]
        assert PASSWORD not in written and "irt_dag" not in written
        return json.loads(written)

    return ask


@pytest.fixture
def table(database):
    """The full name of a table, in the schema public or the one named."""
    name = database.execute("select current_database()").fetchone()[0]
    return lambda table: (SERVER, f"{name}.{table if '.' in table else f'public.{table}'}")


def named(datasets) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def rows(datasets) -> dict[str, int]:
    return {each["name"].rpartition(".")[2]: each["outputFacets"]["outputStatistics"]["rowCount"] for each in datasets}


def staged(tmp_path, *names) -> list[tuple[str, str]]:
    return [("file", f"{tmp_path}/bank=math/{name}") for name in names]


def of(kind, run, **more):
    return kind(task_id=kind.__name__, run=run.to_dict(), **more)


def test_what_is_extracted(told, table, tmp_path):
    run = a_run(tmp_path)
    event = told(of(ExtractResponsesOperator, run))
    assert named(event["inputs"]) == [table("attempt")]
    assert named(event["outputs"]) == staged(tmp_path, "responses.parquet")
    groups = {"table": "school.students", "user": "id", "column": "grade"}
    run = a_run(tmp_path, bank={"groups": groups, "extract": {"source": "exam_results"}})
    assert named(told(of(ExtractResponsesOperator, run), RUNNING)["inputs"]) == [
        table("exam_results"), table("school.students"),
    ]  # fmt: skip
    event = told(of(ExtractAnchorsOperator, run))
    assert named(event["inputs"]) == [table("question")]
    assert named(event["outputs"]) == staged(tmp_path, "anchors.json", "start.json")


@pytest.mark.parametrize(
    ("staging", "expected"),
    [
        ("s3://login@bucket/irt", ("s3://bucket", "irt/bank=math/responses.parquet")),
        ("gs://bucket", ("gs://bucket", "bank=math/responses.parquet")),
        ("file:///srv/irt/", ("file", "/srv/irt/bank=math/responses.parquet")),
    ],
)
def test_a_staged_object_is_the_same_dataset_every_night(told, tmp_path, staging, expected):
    nights = [replace(a_run(tmp_path, run_id=run_id), staging=staging) for run_id in ("run-1", "run-2")]
    assert [named(told(of(CalibrateOperator, run), RUNNING)["inputs"])[0] for run in nights] == [expected, expected]


def test_a_server_is_named_as_by_other_operators(told, monkeypatch, tmp_path):
    monkeypatch.setattr("irt.hooks.postgres.ArrowPostgresHook.get_first", lambda *_: ("db", "public"))
    uri = f"postgresql://irt_dag:{PASSWORD}@Db.Example.org:6432/db?application_name=x"
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", uri)
    event = told(of(ExtractAnchorsOperator, a_run(tmp_path)))
    assert named(event["inputs"]) == [("postgres://db.example.org:6432", "db.public.question")]


def test_what_a_result_was_calculated_from(told, database, table, tmp_path):
    run = a_run(tmp_path)
    register(database, run)
    assert "irt_calibration" not in told(of(CalibrateOperator, run), RUNNING)["run"]["facets"]
    body = result_of(run, lambda result: result["fit_meta"]["model_spec"].update(engine=ENGINE))
    write_result(run, parse_result(json.dumps(body), run_key=run.run_key), seconds=1.5, sent=SENT)
    write_json(run.staged(ANCHORS), [])
    expected = {
        "bank": "math",
        "runKey": "run-1/math",
        "engine": "irt_engine",
        "engineVersion": "1.2.3",
        "contract": "1.0",
        "inputsSha256": SENT["inputs"],
    }
    event = told(of(CalibrateOperator, run))
    assert named(event["inputs"]) == staged(tmp_path, "responses.parquet", "anchors.json", "start.json")
    assert named(event["outputs"]) == staged(tmp_path, "items.parquet", "abilities.parquet", "fit.json")
    assert event["run"]["facets"]["irt_calibration"].items() >= expected.items()
    # What is staged is not the work of a try that failed.
    event = told(of(CalibrateOperator, run), FAILED)
    assert event["outputs"] == [] and "irt_calibration" not in event["run"]["facets"]

    task = of(LoadOperator, run)
    assert told(task, RUNNING)["outputs"] == []
    task.execute({})
    event = told(task)
    assert named(event["inputs"]) == staged(tmp_path, "items.parquet", "abilities.parquet", "fit.json")
    assert rows(event["outputs"]) == {"load": 1, "load_item": 3, "load_held": 0, "load_ability": 4, "receipt": 1}
    assert table("irt.load_item") in named(event["outputs"])
    assert event["run"]["facets"]["irt_calibration"].items() >= expected.items()


def test_a_service_that_states_nothing(told, database, tmp_path):
    run = a_run(tmp_path)
    stage(run)
    facet = told(of(CalibrateOperator, run))["run"]["facets"]["irt_calibration"]
    assert facet["bank"] == "math" and facet["inputsSha256"] == {}
    assert facet.get("engine") is None and facet.get("engineVersion") is None


def test_an_assertion_for_each_check(told, database, table, tmp_path):
    run = a_run(tmp_path)

    def change(result):
        result["fit_meta"]["metrics"]["converged"] = False

    ready(database, run, change)
    task = of(CheckRunOperator, run, checks=CHECKS)
    assert told(task, RUNNING)["inputs"][0].get("inputFacets", {}) == {}
    with pytest.raises(ChecksFailedError):
        task.execute({})
    event = told(task, FAILED)
    assert named(event["inputs"]) == [table(f"irt.{name}") for name in ("load", "load_item", "load_ability")]
    assertions = event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    by_name = {each["assertion"]: each for each in assertions}
    assert list(by_name) == CHECKS
    failed = by_name["convergence"]
    assert (failed["success"], failed["severity"], failed["expected"]) == (False, "error", "converged")
    passed = by_name["users_lost"]
    assert (passed["success"], passed["severity"], passed["expected"]) == (True, "warn", "<= 0.3")
    assert (by_name["excluded_items"]["actual"], "actual" in passed) == ("0.0", False)


def test_what_is_published(told, database, table, tmp_path):
    run = a_run(tmp_path)
    ready(database, run)
    accept(database, run)
    task = of(PublishOperator, run)
    task.execute({})
    event = told(task)
    assert named(event["inputs"]) == [table(f"irt.{name}") for name in ("load", "load_item", "load_ability")]
    assert named(event["outputs"]) == [table("mirt_item_params"), table("mirt_ability"), table("mirt_fit_meta")]
    assert rows(event["outputs"]) == {"mirt_item_params": 3, "mirt_ability": 4, "mirt_fit_meta": 1}

    back = RollbackOperator(
        task_id="roll_back", bank="math", run_key=run.run_key, reason="the keys were wrong", banks=banks_of([BANK])
    )
    assert told(back, RUNNING)["outputs"] == []
    asked = SimpleNamespace(run_id="back", run_after=datetime.now(timezone.utc), triggering_user_name="kim")
    back.execute({"dag_run": asked})
    assert rows(told(back)["outputs"]) == {"mirt_item_params": 3, "mirt_ability": 4, "mirt_fit_meta": 1}


def test_what_publishes_nothing_writes_nothing(told, database, tmp_path):
    """Although Airflow's assets of the three tables are its outlets."""
    run = a_run(tmp_path, dry_run=True)
    task = of(PublishOperator, run, outlets=PUBLISHED)
    with pytest.raises(AirflowSkipException):
        task.execute({})
    event = told(task, TaskInstanceState.SKIPPED)
    assert event["outputs"] == []
