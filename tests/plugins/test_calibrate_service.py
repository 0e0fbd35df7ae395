"""The calibrate task against the real calibration service, which dies in the middle."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import TaskDeferred
from distributed import LocalCluster

from contract.conformance.bodies import wait_for_job
from irt.errors import CalibrationFailedError, RequestRefusedError, TransientError
from irt.operators.calibrate import CalibrateOperator
from irt.pods.manifest import pod_arguments
from irt.pods.settings import PodSettings
from irt.received import ACCEPT, MIXED
from irt.result import parse_result
from irt.staged_result import result_objects
from irt.staging import ANCHORS, FIT, REQUEST, RESPONSES
from irt.triggers.calibration import CalibrationJobTrigger
from irt_engine import warm_up
from irt_engine.cli import main as engine
from local.waiting import STILL, wait_until
from tests.runs import a_run
from tests.service.service_harness import TOKEN, ServiceProcess


@pytest.fixture(scope="module")
def running_service(tmp_path_factory) -> Iterator[ServiceProcess]:
    # However long the kernels take to compile: a task waits only for a limited time until its request is accepted.
    warm_up()
    process = ServiceProcess(tmp_path_factory.mktemp("service")).start()
    # A fixed port, since the connection's address must stay valid after a restart.
    process.port = process.client.base_url.port
    yield process
    process.stop()


@pytest.fixture
def service(running_service, monkeypatch) -> Iterator[ServiceProcess]:
    """One service for all tests; no test leaves a job running."""
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": running_service.port, "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    if not running_service.running:
        running_service.start()
    yield running_service
    running_service.end_jobs()


def jobs(service) -> list[dict]:
    return service.client.get("/irt/jobs").json()["jobs"]


def stage(tmp_path, users: int, items: int = 60, each: int = 40, easy: int | None = None, **bank):
    """A run whose staged responses were simulated; everyone gets the item `easy` right."""
    random = np.random.RandomState(3)
    item = np.argsort(random.random_sample((users, items)), axis=1)[:, :each].ravel()
    user = np.repeat(np.arange(users), each)
    b, theta = random.normal(size=items), random.normal(size=users)
    right = (random.random_sample(len(item)) < 1 / (1 + np.exp(-(theta[user] - b[item])))) | (item == easy)
    table = pa.table({"user_id": user.astype(str), "item_id": item.astype(str), "is_correct": right})
    run = a_run(tmp_path, bank={"linking": {"method": "none"}} | bank)
    with run.staged(RESPONSES).open("wb") as file:
        pq.write_table(table, file)
    with run.staged(ANCHORS).open("w") as file:
        json.dump([], file)
    return run


def submit(run) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        CalibrateOperator(task_id="calibrate", run=run.to_dict(), in_place=0).execute({})
    return deferred.value


def hold(service) -> None:
    """Pause the running calibration."""
    for worker in service.workers():
        worker.suspend()


def resume(run, deferred: TaskDeferred, event: dict) -> dict:
    return CalibrateOperator(task_id="calibrate", run=run.to_dict()).resume({}, event, **deferred.kwargs)


async def _first_event(trigger: CalibrationJobTrigger) -> dict:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger ended without an event")


def poll(service, deferred: TaskDeferred, meanwhile=lambda: None) -> dict:
    """Run the trigger in a thread (the triggerer: in a process) while something else happens; returns its event."""
    _, fields = deferred.trigger.serialize()
    trigger = CalibrationJobTrigger(**(fields | {"poll_interval": 0.2, "patience": STILL}))
    event: Future[dict] = Future()

    def wait_for_it() -> None:
        try:
            event.set_result(asyncio.run(_first_event(trigger)))
        except Exception as error:
            event.set_exception(error)

    threading.Thread(target=wait_for_it, daemon=True).start()
    meanwhile()
    wait_until(event.done, what="the event of the trigger", work=lambda: str(jobs(service)), check=service.check)
    return event.result()


def test_the_service_is_killed_and_restarted_while_the_trigger_polls(service, tmp_path):
    run, before = stage(tmp_path, users=20_000), len(jobs(service))
    deferred = submit(run)
    hold(service)

    def kill_and_restart() -> None:
        wait_for_job(service.client, f"/{deferred.kwargs['job']}", "running")
        service.kill()
        with pytest.raises(httpx.ConnectError):
            service.client.get("/healthz")
        service.start()

    event = poll(service, deferred, kill_and_restart)
    assert event["status"] == "succeeded"
    assert resume(run, deferred, event)["items"] == 60
    assert json.loads(run.staged(FIT).read_text())["metrics"]["converged"] is True
    assert len(jobs(service)) == before + 1


def test_a_worker_that_died_after_submitting_finds_the_same_job(service, tmp_path):
    run, known = stage(tmp_path, users=500), len(jobs(service))
    first, second = submit(run), submit(run)
    assert first.kwargs["job"] == second.kwargs["job"]
    event = poll(service, second)
    assert resume(run, second, event)["items"] == 60
    # Again after the end, as a cleared task does: still the same job, and the same bytes.
    before = run.staged("abilities.parquet").read_bytes()
    third = submit(run)
    assert resume(run, third, poll(service, third))["items"] == 60
    assert run.staged("abilities.parquet").read_bytes() == before
    assert len(jobs(service)) == known + 1


def test_the_engines_command_gives_the_bytes_of_the_service(service, tmp_path):
    """By which a replay compares."""
    run = stage(tmp_path, users=300)
    deferred = submit(run)
    resume(run, deferred, poll(service, deferred))
    answers, request, result = tmp_path / "answers.parquet", tmp_path / "request.json", tmp_path / "result.json"
    for name, copy in ((RESPONSES, answers), (REQUEST, request)):
        copy.write_bytes(run.staged(name).read_bytes())
    assert engine(["calibrate", str(answers), "--request", str(request), "--out", str(result)]) == 0
    again = result_objects(run.run_key, parse_result(result.read_bytes(), run_key=run.run_key), deferred.kwargs["sent"])
    for name, content in again.items():
        assert run.staged(name).read_bytes() == bytes(content)


@pytest.fixture(params=["pod", "dask"])
def place(request) -> Iterator[tuple[str, str | None]]:
    """Where a pod calibrates: the runtime, and the address of a scheduler."""
    if request.param == "pod":
        yield request.param, None
        return
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        yield request.param, cluster.scheduler_address


def test_a_pods_command_gives_the_bytes_of_the_service(service, tmp_path, place):
    """With the arguments of the pod's container. Both give the abilities as a file of their own."""
    runtime, scheduler = place
    run = stage(tmp_path, users=300, model="Rasch")
    deferred = submit(run)
    resume(run, deferred, poll(service, deferred))
    asked = service.client.get(f"/{deferred.kwargs['job']}/result", headers={"Accept": ACCEPT})
    assert asked.headers["content-type"].startswith(MIXED)
    settings = PodSettings(image="irt-engine:1", volume={"claim": "c", "root": str(tmp_path)}, dask=scheduler)
    names = {"responses": RESPONSES, "result": "result-d.json", "abilities": "abilities-d.parquet"}
    folder, out = run.staged_folder().path, tmp_path / "out"
    out.mkdir()
    told = pod_arguments(replace(run, runtime=runtime), settings, **names, digest="d")["arguments"]
    assert ("--dask" in told) == (runtime == "dask")
    assert engine([each.replace("/in/", f"{folder}/").replace("/out/", f"{out}/") for each in told]) == 0
    assert {path.name for path in out.iterdir()} == {"result-d.json", "abilities-d.parquet"}
    with (out / "abilities-d.parquet").open("rb") as abilities:
        document = (out / "result-d.json").read_bytes()
        result = parse_result(document, abilities=[abilities], run_key=run.run_key)
    for name, content in result_objects(run.run_key, result, deferred.kwargs["sent"]).items():
        assert run.staged(name).read_bytes() == bytes(content)


def test_a_killed_task_cancels_and_a_cleared_one_starts_anew(service, tmp_path):
    # The job must still be running when the cancellation arrives.
    run = stage(tmp_path, users=20_000, each=60, model="3PL")
    deferred = submit(run)
    hold(service)
    asyncio.run(deferred.trigger.on_kill())
    wait_for_job(service.client, f"/{deferred.kwargs['job']}", "cancelled")
    event = poll(service, deferred)
    with pytest.raises(TransientError, match="cancelled"):
        resume(run, deferred, event)
    again = submit(run)
    assert again.kwargs["job"] != deferred.kwargs["job"]
    assert poll(service, again)["status"] == "succeeded"


def test_a_wrong_token_is_refused_at_once(service, tmp_path, monkeypatch):
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": service.port, "password": "not-the-token-4712"}
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection))
    with pytest.raises(RequestRefusedError, match="answered 401"):
        CalibrateOperator(task_id="calibrate", run=stage(tmp_path, users=50).to_dict()).execute({})


def test_a_bank_that_cannot_be_linked_fails_with_the_numbers(service, tmp_path):
    run = stage(tmp_path, users=300, easy=0, linking={"method": "stocking_lord", "min_anchors": 3})
    known = [{"item_id": str(j), "params": {"a": 1.0, "b": 0.1 * j}, "fixed": True} for j in range(3)]
    with run.staged(ANCHORS).open("w") as file:
        json.dump(known, file)
    deferred = submit(run)
    with pytest.raises(CalibrationFailedError, match="at least 3 anchors; of the 3 given, 2 are"):
        resume(run, deferred, poll(service, deferred))
