"""The calibrate task against the real calibration service, which dies in the middle."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from airflow.sdk.exceptions import TaskDeferred

from irt.errors import CalibrationFailedError, RequestRefusedError, TransientError
from irt.operators.calibrate import CalibrateOperator
from irt.operators.extract import ANCHORS, RESPONSES
from irt.staged_result import FIT
from irt.triggers.calibration import CalibrationJobTrigger
from local.processes import Command, Supervisor, wait_until
from tests.runs import a_run

TOKEN = "token-of-the-service-tests"


class Service:
    """`irt-engine serve` on one port, with a state folder that outlives it."""

    def __init__(self, folder) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.supervisor = Supervisor(folder)

    def start(self) -> None:
        arguments = [sys.executable, "-m", "irt_engine.cli", "serve", "--port", str(self.port)]
        arguments += ["--state-dir", str(self.folder / "state")]
        self.supervisor.start(Command("service", arguments, env={"IRT_ENGINE_TOKEN": TOKEN}))
        wait_until(self.answers, seconds=60, what="the service")

    def answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def jobs(self) -> list[dict]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        found = requests.get(f"http://127.0.0.1:{self.port}/irt/jobs", headers=headers, timeout=5).json()
        return found["jobs"] if isinstance(found, dict) else found


@pytest.fixture
def service(tmp_path, monkeypatch):
    service = Service(tmp_path)
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": service.port, "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    service.start()
    yield service
    service.supervisor.stop()


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
        CalibrateOperator(task_id="calibrate", run=run.to_dict()).execute({})
    return deferred.value


def resume(run, deferred: TaskDeferred, event: dict) -> dict:
    return CalibrateOperator(task_id="calibrate", run=run.to_dict()).resume({}, event, **deferred.kwargs)


async def _first_event(trigger: CalibrationJobTrigger) -> dict:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger ended without an event")


def poll(deferred: TaskDeferred, meanwhile=lambda: None) -> dict:
    """Run the trigger in a thread, as the triggerer does in a process, beside something else; returns its event."""
    _, fields = deferred.trigger.serialize()
    trigger = CalibrationJobTrigger(**(fields | {"poll_interval": 0.2, "patience": 60}))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: asyncio.run(asyncio.wait_for(_first_event(trigger), 120)))
        meanwhile()
        return waiting.result()


def test_the_service_is_killed_and_restarted_while_the_trigger_polls(service, tmp_path):
    run = stage(tmp_path, users=20_000)
    deferred = submit(run)

    def kill_and_restart() -> None:
        wait_until(lambda: service.jobs()[0]["status"] == "running", seconds=30, what="the job", pause=0.01)
        service.supervisor.kill("service", signal.SIGKILL)
        assert not service.answers()
        service.start()

    event = poll(deferred, kill_and_restart)
    assert event["status"] == "succeeded"
    assert resume(run, deferred, event)["items"] == 60
    assert json.loads(run.staged(FIT).read_text())["metrics"]["converged"] is True
    assert len(service.jobs()) == 1


def test_a_worker_that_died_after_submitting_finds_the_same_job(service, tmp_path):
    run = stage(tmp_path, users=500)
    first, second = submit(run), submit(run)
    assert first.kwargs["job"] == second.kwargs["job"]
    event = poll(second)
    assert resume(run, second, event)["items"] == 60
    # Once more after the end, as a cleared task does: still the same job, and the same bytes.
    before = run.staged("abilities.parquet").read_bytes()
    third = submit(run)
    assert resume(run, third, poll(third))["items"] == 60
    assert run.staged("abilities.parquet").read_bytes() == before
    assert len(service.jobs()) == 1


def test_a_killed_task_cancels_and_a_cleared_one_starts_anew(service, tmp_path):
    # Six million answers: the job must still run when the cancellation comes.
    run = stage(tmp_path, users=100_000, each=60, model="3PL")
    deferred = submit(run)
    asyncio.run(deferred.trigger.on_kill())
    wait_until(lambda: service.jobs()[0]["status"] == "cancelled", seconds=20, what="the cancellation")
    event = poll(deferred)
    with pytest.raises(TransientError, match="cancelled"):
        resume(run, deferred, event)
    again = submit(run)
    assert again.kwargs["job"] != deferred.kwargs["job"]
    assert poll(again)["status"] == "succeeded"


def test_a_wrong_token_is_refused_at_once(service, tmp_path, monkeypatch):
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": service.port, "password": "wrong"}
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
        resume(run, deferred, poll(deferred))
