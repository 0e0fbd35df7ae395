"""The life of a job, in tests that need a separate service: its processes, its limits, its files."""

from __future__ import annotations

import re
import socket
import threading

import httpx
import pytest
from service_harness import alive, assert_gone

from contract.conformance.bodies import wait_for, wait_for_job

ASYNC = {"Prefer": "respond-async"}


def submit(client: httpx.Client, form: dict, **headers: str) -> str:
    """The job's address."""
    response = client.post("/irt/calibrate", headers={**ASYNC, **headers}, **form)
    assert response.status_code == 202, response.text
    return response.headers["location"]


def status(client: httpx.Client, url: str) -> str:
    return client.get(url).json()["status"]


def test_progress_and_cancellation(service, contract, long_request):
    client = service.client
    url = submit(client, long_request)
    seen = []

    def look() -> dict:
        seen.append(client.get(url).json())
        return seen[-1]

    def moments() -> list[dict]:
        return [job["progress"] for job in seen if job["progress"]]

    wait_for(look, lambda job: len({moment["iteration"] for moment in moments()}) >= 3)
    assert all(isinstance(moment["loglik"], float) for moment in moments())
    assert [moment["iteration"] for moment in moments()] == sorted(moment["iteration"] for moment in moments())
    contract.problem(client.get(f"{url}/result"), 409, "no-result")
    worker = service.busy_worker()
    cancelled = client.delete(url)
    assert cancelled.status_code == 200
    contract.check("Job", cancelled.json())
    assert cancelled.json()["status"] == "cancelled"
    # The answer waits for the job's end.
    assert not alive([worker])
    assert client.delete(url).json() == cancelled.json()
    contract.problem(client.get(f"{url}/result"), 409, "no-result")
    folder = service.folder / "state" / "jobs" / cancelled.json()["job_id"]
    assert not (folder / "responses.parquet").exists()


def test_queue_has_an_end(start_service, contract, long_request, lsat7):
    service = start_service("--max-running", "1", "--max-queued", "1")
    client = service.client
    first, second = submit(client, long_request), submit(client, long_request, **{"Idempotency-Key": "second"})
    wait_for_job(client, first, "running")
    assert status(client, second) == "queued"
    assert client.get("/healthz").json()["jobs"] == {"running": 1, "queued": 1, "limit": 2}
    for headers in (ASYNC, {}):
        response = client.post("/irt/calibrate", json={"observations": lsat7}, headers=headers)
        contract.problem(response, 429, "too-many-jobs")
        assert int(response.headers["retry-after"]) > 0
    # An accepted request can still be repeated.
    assert submit(client, long_request, **{"Idempotency-Key": "second"}) == second
    assert client.delete(first).json()["status"] == "cancelled"
    wait_for_job(client, second, "running")
    third = submit(client, {"json": {"observations": lsat7}})
    assert client.delete(third).json()["status"] == "cancelled"
    assert client.delete(second).json()["status"] == "cancelled"
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_jobs_wait_for_their_turn_and_all_end(start_service, lsat7):
    client = start_service("--max-running", "2").client
    urls = [submit(client, {"json": {"observations": lsat7}}) for _ in range(4)]
    for url in urls:
        wait_for_job(client, url, "succeeded")
    listed = [job["job_id"] for job in client.get("/irt/jobs").json()["jobs"]]
    assert listed == [url.rpartition("/")[2] for url in reversed(urls)]


def test_results_are_removed_after_their_time(start_service, contract, lsat7):
    service = start_service("--keep-results-seconds", "1")
    url = submit(service.client, {"json": {"observations": lsat7}}, **{"Idempotency-Key": "k"})
    wait_for(lambda: service.client.get(url).json(), lambda found: found["status"] == 404)
    contract.problem(service.client.get(f"{url}/result"), 404, "not-found")
    wait_for(lambda: list((service.folder / "state" / "jobs").iterdir()), lambda left: not left)
    assert submit(service.client, {"json": {"observations": lsat7}}, **{"Idempotency-Key": "k"}) != url


def test_job_that_takes_too_long(start_service, contract, long_request):
    client = start_service("--max-job-seconds", "2").client
    contract.problem(client.post("/irt/calibrate", **long_request), 503, "job-timeout")


def test_killed_worker_fails_its_job_and_nothing_else(service, contract, long_request, lsat7):
    client = service.client
    url = submit(client, long_request, **{"Idempotency-Key": "of-a-killed-worker"})
    wait_for_progress(client, url)
    service.busy_worker().kill()
    failed = wait_for_job(client, url, "failed")
    contract.check("Job", failed)
    assert failed["error"]["type"] == "urn:irt:problem:worker-died"
    assert "memory" in failed["error"]["detail"]
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
    # A failed job does not keep its key.
    assert submit(client, long_request, **{"Idempotency-Key": "of-a-killed-worker"}) != url


def test_killed_fork_server_fails_what_runs_and_nothing_else(service, contract, long_request, lsat7):
    """Workers end with the process from which they are forked, and the next request gets another one."""
    client = service.client
    url = submit(client, long_request)
    wait_for_progress(client, url)
    processes = service.descendants()
    service.fork_server().kill()
    failed = wait_for_job(client, url, "failed")
    assert failed["error"]["type"] == "urn:irt:problem:worker-died"
    assert_gone(processes)
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_killed_worker_of_a_waiting_client(service, contract, long_request):
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(service.client.post("/irt/calibrate", **long_request)))
    waiting.start()
    wait_for(lambda: running(service.client))
    service.busy_worker().kill()
    waiting.join()
    contract.problem(answers[0], 503, "worker-died")


@pytest.mark.parametrize("key", [None, "kept"])
def test_client_that_leaves(service, long_request, key):
    """Without a key, nobody can fetch the result later, so the work stops. With one, it continues."""
    client = service.client
    before, gone = client.get("/irt/jobs").json(), clients_gone(client)
    headers = {"Idempotency-Key": key} if key else {}
    request = client.build_request("POST", "/irt/calibrate", headers=headers, **long_request)
    body = request.read()
    head = "POST /irt/calibrate HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in request.headers.items()) + "\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(head.encode() + body)
        wait_for(lambda: running(client))
    # The service has noticed, and has acted on it.
    wait_for(lambda: clients_gone(client), lambda count: count > gone)
    jobs = client.get("/irt/jobs").json()["jobs"]
    if key is None:
        assert not running(client)
        wait_for(lambda: list((service.folder / "state" / "incoming").iterdir()), lambda left: not left)
        assert jobs == before["jobs"]
    else:
        job = jobs[0]
        # It may be waiting for its worker, but is not cancelled.
        wait_for_job(client, f"/irt/jobs/{job['job_id']}", "running")
        assert submit(client, long_request, **headers).endswith(job["job_id"])


def running(client: httpx.Client) -> int:
    return client.get("/healthz").json()["jobs"]["running"]


def wait_for_progress(client: httpx.Client, url: str) -> None:
    wait_for(lambda: client.get(url).json(), lambda job: job["progress"])


def clients_gone(client: httpx.Client) -> float:
    """How many clients left before their calibration had ended."""
    counted = re.search(r'irt_requests_total{route="calibrate",status="499"} (\S+)', client.get("/metrics").text)
    return float(counted[1]) if counted else 0.0
