"""External faults of a service: its processes are stopped or killed, its disk is full, its clock jumps."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import httpx
import psutil
import pytest
from service_harness import assert_gone
from test_service_restart import submit, wait_for_progress

from contract.conformance.bodies import wait_for, wait_for_job
from irt_engine.service.job import RESPONSES_FILE, SUCCEEDED, Job, timestamp
from irt_engine.service.jobs.store import JobStore
from tests.faults.disk import required_disk


def health(client: httpx.Client) -> httpx.Response:
    return client.get("/healthz")


@pytest.mark.fault("process that forks workers stopped", "service", "shows in /healthz, is replaced")
def test_stopped_fork_server_shows_and_is_replaced(start_service, contract, lsat7, long_request):
    """A job that it can no longer end fails; the next request gets another fork server."""
    service = start_service("--fork-server-seconds", "3")
    client = service.client
    url = submit(client, long_request)
    wait_for_progress(client, url)
    processes = service.descendants()
    service.fork_server().suspend()
    wait_for(lambda: health(client).status_code, lambda status: status == 503)
    contract.check("Health", health(client).json())
    assert health(client).json()["status"] == "recovering"
    failed = wait_for_job(client, url, "failed")
    assert failed["error"]["type"] == "urn:irt:problem:worker-died"
    assert_gone(processes)
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
    assert health(client).json()["status"] == "ok"


def test_request_that_waits_for_a_stopped_fork_server(start_service, lsat7):
    service = start_service("--fork-server-seconds", "3")
    assert service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
    service.fork_server().suspend()
    assert service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_fork_server_that_works_is_left_alone(start_service, long_request):
    """Nor is it replaced because the service itself was stopped for longer than the time-out."""
    service = start_service("--fork-server-seconds", "1")
    url = submit(service.client, long_request)
    wait_for_progress(service.client, url)
    fork_server, process = service.fork_server(), psutil.Process(service.process.pid)
    process.suspend()
    time.sleep(3)
    process.resume()
    progress = service.client.get(url).json()["progress"]["iteration"]
    wait_for(lambda: service.client.get(url).json()["progress"]["iteration"], lambda iteration: iteration > progress)
    assert service.fork_server() == fork_server
    assert health(service.client).json()["status"] == "ok"


def test_end_while_the_fork_server_is_stopped(start_service, long_request):
    service = start_service("--shutdown-grace-seconds", "0.2", "--fork-server-seconds", "3600")
    url = submit(service.client, long_request)
    wait_for_progress(service.client, url)
    processes = service.descendants()
    service.fork_server().suspend()
    service.process.terminate()
    service.wait_for_end()
    assert_gone(processes)
    service.start()
    assert service.client.get(url).json()["status"] in ("queued", "running")
    service.end_jobs()


@pytest.mark.fault("process that forks workers killed, again and again", "service", "each job succeeds")
def test_fork_server_killed_again_and_again(service, lsat7):
    for _ in range(5):
        service.fork_server().kill()
        assert service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_service_that_stands_still_does_not_answer(start_service):
    """A liveness probe must notice this; test_service_health.py shows that a long fit does not look like it."""
    service = start_service()
    assert health(service.client).status_code == 200
    os.kill(service.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(httpx.TimeoutException):
            httpx.get(f"{service.client.base_url}/healthz", timeout=2, trust_env=False)
    finally:
        os.kill(service.process.pid, signal.SIGCONT)
    assert health(service.client).status_code == 200


@pytest.mark.fault("job cancelled on a full disk, restart", "service", "stays cancelled")
@pytest.mark.parametrize("waits", [False, True], ids=["running", "queued"])
def test_cancelled_on_a_full_disk(start_service, tmp_path, long_request, waits):
    """The job does not run again after a restart."""
    folder = tmp_path / "state"
    folder.mkdir()
    with required_disk(folder) as disk:
        service = start_service("--state-dir", str(folder))
        running = submit(service.client, long_request)
        wait_for_progress(service.client, running)
        url = submit(service.client, long_request) if waits else running
        disk.fill()
        assert service.client.delete(url).json()["status"] == "cancelled"
        service.kill()
        disk.free()
        service.start()
        assert service.client.get(url).json()["status"] == "cancelled"
        service.end_jobs()
        service.stop()


def test_job_without_its_responses_is_not_run_again(service, contract, long_request):
    """As after a job ended on a disk too full even for its record."""
    url = submit(service.client, long_request)
    wait_for_job(service.client, url, "running")
    service.kill()
    (service.folder / "state" / "jobs" / url.rpartition("/")[2] / RESPONSES_FILE).unlink()
    service.start()
    job = service.client.get(url).json()
    contract.check("Job", job)
    assert job["status"] == "failed" and job["finished_at"]
    assert "responses of this job are gone" in job["error"]["detail"]


@pytest.mark.fault("clock jumps", "service", "results are kept as long as they should")
def test_clock_that_jumps(tmp_path):
    """A job that ended while the clock was a year ahead is kept as long as others; a clock set back removes none."""

    async def kept_and_removed() -> tuple[int, int, int]:
        store = JobStore(tmp_path / "state")
        job = Job("j", "calibrate", store.new_folder("j"), "f", 1)
        job.json_path.write_text("{}")
        job.status, job.finished_at = SUCCEEDED, timestamp(time.time() + 365 * 24 * 3600)
        await store.add(job)
        store.close()
        store = JobStore(tmp_path / "state")
        store.load()
        found = [await store.remove_expired(60, lambda at=at: time.time() + at) for at in (-1e7, 30, 90)]
        store.close()
        return tuple(found)

    assert asyncio.run(kept_and_removed()) == (0, 0, 1)
