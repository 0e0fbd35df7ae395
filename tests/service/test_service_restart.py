"""What a service keeps when it ends, and resumes when it starts."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from typing import Any

import psutil
import pytest
from service_harness import ServiceProcess, alive, assert_gone

from contract.conformance.bodies import wait_for, wait_for_job
from irt_engine.service.job import RESPONSES_FILE, Job
from irt_engine.service.jobs.runner import Runner
from irt_engine.service.jobs.store import JobStore
from irt_engine.service.limits import Limits
from irt_engine.service.metrics import Metrics
from irt_engine.service.processes.workers import Workers
from irt_engine.service.tracing import Traces

ASYNC = {"Prefer": "respond-async"}


def submit(client, form, key=None):
    headers = ASYNC | ({"Idempotency-Key": key} if key else {})
    response = client.post("/irt/calibrate", headers=headers, **form)
    assert response.status_code == 202, response.text
    return response.headers["location"]


def wait_for_progress(client, url):
    wait_for(lambda: client.get(url).json(), lambda job: job["progress"])


def test_killed_in_the_middle(service, medium_request, contract):
    """`kill -9`: the worker ends too, and the next service runs the job again under its id."""
    url = submit(service.client, medium_request, "killed")
    wait_for_progress(service.client, url)
    assert_gone(service.kill())
    service.start()
    job = service.client.get(url).json()
    contract.check("Job", job)
    assert job["status"] in ("queued", "running")
    assert submit(service.client, medium_request, "killed") == url
    wait_for_job(service.client, url, "succeeded")
    result = service.client.get(f"{url}/result")
    contract.check("Calibration", result.json())
    # As if nothing had happened.
    undisturbed = submit(service.client, medium_request)
    wait_for_job(service.client, undisturbed, "succeeded")
    assert result.content == service.client.get(f"{undisturbed}/result").content


def test_finished_jobs_survive(service, lsat7):
    body = {"json": {"observations": lsat7}}
    url = submit(service.client, body, "finished")
    done = wait_for_job(service.client, url, "succeeded")
    result = service.client.get(f"{url}/result").content
    service.kill()
    service.start()
    assert service.client.get(url).json() == done
    assert service.client.get(f"{url}/result").content == result
    assert submit(service.client, body, "finished") == url


def test_waiting_jobs_survive_in_their_order(service, long_request, lsat7):
    first = submit(service.client, long_request)
    others = [submit(service.client, {"json": {"observations": lsat7}}) for _ in range(2)]
    service.kill()
    service.start()
    client = service.client
    wait_for_job(client, first, "running")
    assert [client.get(url).json()["status"] for url in others] == ["queued", "queued"]
    client.delete(first)
    finished = [wait_for_job(client, url, "succeeded")["finished_at"] for url in others]
    assert finished == sorted(finished)


def test_job_that_ends_every_service_is_given_up(service, contract, long_request):
    url = submit(service.client, long_request)
    for _ in range(3):
        wait_for_job(service.client, url, "running")
        service.kill()
        service.start()
    failed = wait_for_job(service.client, url, "failed")
    contract.check("Job", failed)
    assert "3 times" in failed["error"]["detail"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_graceful_end(start_service, contract, long_request, end):
    """A running job goes back to the queue, a waiting client gets an answer, and no process is left."""
    service = start_service("--shutdown-grace-seconds", "0.2")
    url = submit(service.client, long_request)
    wait_for_progress(service.client, url)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(service.client.post("/irt/calibrate", **long_request)))
    waiting.start()
    wait_for(lambda: service.client.get("/healthz").json()["jobs"], lambda jobs: jobs["queued"])
    workers = service.descendants()
    service.process.send_signal(end)
    service.wait_for_end()
    assert not alive(workers)
    waiting.join()
    contract.problem(answers[0], 503, "unavailable")
    assert "Traceback" not in service.log()
    service.start()
    assert service.client.get(url).json()["status"] in ("queued", "running")
    assert list((service.folder / "state" / "incoming").iterdir()) == []
    service.end_jobs()


def test_running_job_may_finish_at_the_end(start_service, lsat7):
    service = start_service("--shutdown-grace-seconds", "3600")
    url = submit(service.client, {"json": {"observations": lsat7}})
    service.stop()
    service.start()
    assert service.client.get(url).json()["status"] == "succeeded"


def test_broken_record_does_not_keep_the_service_from_starting(start_service, lsat7):
    service = start_service()
    url = submit(service.client, {"json": {"observations": lsat7}})
    wait_for_job(service.client, url, "succeeded")
    service.stop()
    jobs = service.folder / "state" / "jobs"
    good = json.loads((jobs / url.rpartition("/")[2] / "job.json").read_text())
    odd = {
        "cut": '{"id": "cut", "ki',
        "other": '{"some": "thing"}',
        "list": "[]",
        "nested": "[" * 100_000,
        "elsewhere": json.dumps(good),
    }
    for name, value in (
        ("submitted_at", None),
        ("submitted_at", "yesterday"),
        ("finished_at", "yesterday"),
        ("status", "unknown"),
        ("status", []),
        ("kind", "unknown"),
        ("attempts", None),
        ("timings", None),
        ("ended", None),
    ):
        folder = f"{name}-{value}"
        odd[folder] = json.dumps({**good, "id": folder, name: value})
    for name, text in odd.items():
        (jobs / name).mkdir()
        (jobs / name / "job.json").write_text(text)
    (jobs / "empty").mkdir()
    (jobs / "file").write_text("")
    service.start()
    assert [job["status"] for job in service.client.get("/irt/jobs").json()["jobs"]] == ["succeeded"]
    assert service.log().count("is left alone") == len(odd) + 2
    assert {path.name for path in jobs.iterdir()} >= odd.keys()


@pytest.mark.parametrize("status", ["running", "queued"])
def test_result_that_came_before_its_record(service, contract, lsat7, status):
    """The service ends between writing the two: the job is done, whatever its record says."""
    key = f"before-its-record-{status}"
    url = submit(service.client, {"json": {"observations": lsat7}}, key)
    wait_for_job(service.client, url, "succeeded")
    result = service.client.get(f"{url}/result").content
    service.kill()
    folder = service.folder / "state" / "jobs" / url.rpartition("/")[2]
    record = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**record, "status": status, "finished_at": None}))
    (folder / "responses.parquet").write_bytes(b"left behind")
    service.start()
    job = service.client.get(url).json()
    contract.check("Job", job)
    assert job["status"] == "succeeded" and job["finished_at"]
    assert service.client.get(f"{url}/result").content == result
    assert submit(service.client, {"json": {"observations": lsat7}}, key) == url
    assert not (folder / "responses.parquet").exists()


@pytest.mark.parametrize("left", [b"", None], ids=["empty", "missing"])
@pytest.mark.parametrize("name", ["document.json", "abilities.parquet"])
def test_a_result_that_was_lost(service, contract, lsat7, name, left):
    """As after a power failure: the job has failed, and its key is free."""
    body, key = {"json": {"observations": lsat7}}, f"lost-{name}-{left}"
    url = submit(service.client, body, key)
    wait_for_job(service.client, url, "succeeded")
    result = service.client.get(f"{url}/result").content
    service.kill()
    folder = service.folder / "state" / "jobs" / url.rpartition("/")[2]
    (folder / "result.json").unlink()
    file = folder / name
    file.unlink()
    if left is not None:
        file.write_bytes(left)
    service.start()
    job = service.client.get(url).json()
    contract.check("Job", job)
    assert (job["status"], job["error"]["detail"]) == (
        "failed", "The result of this job was lost; submit the request again.",
    )  # fmt: skip
    again = submit(service.client, body, key)
    assert again != url
    wait_for_job(service.client, again, "succeeded")
    assert service.client.get(f"{again}/result").content == result


def test_record_is_written_before_the_responses_go(tmp_path):
    """Whenever the service ends, the job can be run again, or its end is on record."""

    class Store(JobStore):
        async def update(self, job: Job, **changes: Any) -> None:
            seen.append((job.folder / RESPONSES_FILE).exists())
            await super().update(job, **changes)

    async def finish() -> Job:
        store, limits = Store(tmp_path / "state"), Limits()
        folder = store.new_folder("j")
        (folder / RESPONSES_FILE).touch()
        job = await store.add(Job("j", "calibrate", folder, "f", 1))
        runner = Runner(store, Workers(limits), limits, Metrics(), Traces(None))
        runner._queue.append((job, None))
        await runner.cancel(job)
        store.close()
        return job

    seen: list[bool] = []
    job = asyncio.run(finish())
    assert seen == [True]
    assert not (job.folder / RESPONSES_FILE).exists()
    assert json.loads((job.folder / "job.json").read_text())["status"] == "cancelled"


@pytest.mark.parametrize("name", ["incoming", "jobs"])
def test_state_that_is_not_a_folder(tmp_path, name):
    service = ServiceProcess(tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    if name == "incoming":
        (state / name).symlink_to(tmp_path / "precious")
    else:
        (state / name).touch()
    status, output = service.refusal()
    assert status == 1
    assert str(state / name) in output and "Traceback" not in output
    assert (tmp_path / "precious" / "file").exists()


def test_interrupted_uploads_are_swept_away(service):
    incoming = service.folder / "state" / "incoming"
    (incoming / "half").mkdir()
    (incoming / "half" / "body").write_text("{")
    service.kill()
    service.start()
    assert list(incoming.iterdir()) == []


def test_everything_ends_with_a_service_that_is_stopped_hard(start_service, long_request):
    service = start_service("--max-running", "2")
    for _ in "ab":
        submit(service.client, long_request)
    wait_for(service.workers, lambda workers: len(workers) == 2)
    processes: list[psutil.Process] = service.kill()
    assert len(processes) == 3
    assert_gone(processes)
