"""The life of a job, as far as it takes a service of one's own: its processes, its limits, its files."""

from __future__ import annotations

import socket
import threading
import time

import httpx
import pytest
from service_harness import assert_gone

from contract.conformance.bodies import wait_for

ASYNC = {"Prefer": "respond-async"}


def submit(client: httpx.Client, form: dict, **headers: str) -> str:
    """The job's address."""
    response = client.post("/irt/calibrate", headers={**ASYNC, **headers}, **form)
    assert response.status_code == 202, response.text
    return response.headers["location"]


def status(client: httpx.Client, url: str) -> str:
    return client.get(url).json()["status"]


def test_progress_and_cancellation(start_service, contract, long_request):
    service = start_service()
    client = service.client
    url = submit(client, long_request)
    seen = []

    def has_moved() -> bool:
        seen.append(client.get(url).json())
        moments = [job["progress"] for job in seen if job["progress"]]
        return len({moment["iteration"] for moment in moments}) >= 3

    wait_for(has_moved, 60)
    moments = [job["progress"] for job in seen if job["progress"]]
    assert all(isinstance(moment["loglik"], float) for moment in moments)
    assert [moment["iteration"] for moment in moments] == sorted(moment["iteration"] for moment in moments)
    contract.problem(client.get(f"{url}/result"), 409, "no-result")
    worker = service.busy_worker()
    cancelled = client.delete(url)
    assert cancelled.status_code == 200
    contract.check("Job", cancelled.json())
    assert cancelled.json()["status"] == "cancelled"
    assert_gone([worker], 1)
    assert client.delete(url).json() == cancelled.json()
    contract.problem(client.get(f"{url}/result"), 409, "no-result")
    folder = service.folder / "state" / "jobs" / cancelled.json()["job_id"]
    assert not (folder / "responses.parquet").exists()


def test_queue_has_an_end(start_service, contract, long_request, lsat7):
    service = start_service("--max-running", "1", "--max-queued", "1")
    client = service.client
    first, second = submit(client, long_request), submit(client, long_request, **{"Idempotency-Key": "second"})
    wait_for(lambda: status(client, first) == "running")
    assert status(client, second) == "queued"
    assert client.get("/healthz").json()["jobs"] == {"running": 1, "queued": 1, "limit": 2}
    for headers in (ASYNC, {}):
        response = client.post("/irt/calibrate", json={"observations": lsat7}, headers=headers)
        contract.problem(response, 429, "too-many-jobs")
        assert int(response.headers["retry-after"]) > 0
    # What was accepted can still be asked for again.
    assert submit(client, long_request, **{"Idempotency-Key": "second"}) == second
    assert client.delete(first).json()["status"] == "cancelled"
    wait_for(lambda: status(client, second) == "running")
    third = submit(client, {"json": {"observations": lsat7}})
    assert client.delete(third).json()["status"] == "cancelled"
    assert client.delete(second).json()["status"] == "cancelled"
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_jobs_wait_for_their_turn_and_all_end(start_service, lsat7):
    client = start_service("--max-running", "2").client
    urls = [submit(client, {"json": {"observations": lsat7}}) for _ in range(4)]
    wait_for(lambda: all(status(client, url) == "succeeded" for url in urls))
    listed = [job["job_id"] for job in client.get("/irt/jobs").json()["jobs"]]
    assert listed == [url.rpartition("/")[2] for url in reversed(urls)]


def test_results_are_removed_after_their_time(start_service, contract, lsat7):
    service = start_service("--keep-results-seconds", "1")
    url = submit(service.client, {"json": {"observations": lsat7}}, **{"Idempotency-Key": "k"})
    wait_for(lambda: service.client.get(url).status_code == 404)
    contract.problem(service.client.get(f"{url}/result"), 404, "not-found")
    wait_for(lambda: not list((service.folder / "state" / "jobs").iterdir()))
    assert submit(service.client, {"json": {"observations": lsat7}}, **{"Idempotency-Key": "k"}) != url


def test_job_that_takes_too_long(start_service, contract, long_request):
    client = start_service("--max-job-seconds", "2").client
    contract.problem(client.post("/irt/calibrate", **long_request), 503, "job-timeout")


def test_killed_worker_fails_its_job_and_nothing_else(start_service, contract, long_request, lsat7):
    service = start_service()
    client = service.client
    url = submit(client, long_request, **{"Idempotency-Key": "k"})
    wait_for(lambda: client.get(url).json()["progress"], 60)
    service.busy_worker().kill()
    failed = wait_for(lambda: (job := client.get(url).json())["status"] == "failed" and job)
    contract.check("Job", failed)
    assert failed["error"]["type"] == "urn:irt:problem:worker-died"
    assert "memory" in failed["error"]["detail"]
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
    # A failed job does not hold its key.
    again = submit(client, long_request, **{"Idempotency-Key": "k"})
    assert again != url
    client.delete(again)


def test_killed_nursery_fails_what_runs_and_nothing_else(start_service, contract, long_request, lsat7):
    """The process that workers are forked from; they end with it, and the next request has another."""
    service = start_service()
    client = service.client
    url = submit(client, long_request)
    wait_for(lambda: client.get(url).json()["progress"], 60)
    processes = service.descendants()
    service.nursery().kill()
    failed = wait_for(lambda: (job := client.get(url).json())["status"] == "failed" and job)
    assert failed["error"]["type"] == "urn:irt:problem:worker-died"
    assert_gone(processes, 2)
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_killed_worker_of_a_waiting_client(start_service, contract, long_request):
    service = start_service()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(service.client.post("/irt/calibrate", **long_request)))
    waiting.start()
    wait_for(lambda: service.client.get("/healthz").json()["jobs"]["running"])
    time.sleep(0.5)
    service.busy_worker().kill()
    waiting.join(20)
    contract.problem(answers[0], 503, "worker-died")


@pytest.mark.parametrize("key", [None, "kept"])
def test_client_that_leaves(start_service, long_request, key):
    """Without a key nobody can come back for the result: the work ends. With one it goes on."""
    service = start_service()
    client = service.client
    headers = {"Idempotency-Key": key} if key else {}
    request = client.build_request("POST", "/irt/calibrate", headers=headers, **long_request)
    body = request.read()
    head = "POST /irt/calibrate HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in request.headers.items()) + "\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(head.encode() + body)
        wait_for(lambda: client.get("/healthz").json()["jobs"]["running"])
    if key is None:
        wait_for(lambda: not client.get("/healthz").json()["jobs"]["running"], 5)
        wait_for(lambda: not list((service.folder / "state" / "incoming").iterdir()), 5)
        assert client.get("/irt/jobs").json() == {"jobs": []}
    else:
        time.sleep(0.5)
        [job] = client.get("/irt/jobs").json()["jobs"]
        assert job["status"] == "running"
        assert submit(client, long_request, **headers).endswith(job["job_id"])
        client.delete(f"/irt/jobs/{job['job_id']}")
