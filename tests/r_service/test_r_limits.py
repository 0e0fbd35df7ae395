"""What one submission may take from the R service: memory, checking time, and places in the queue."""

from __future__ import annotations

import threading

import httpx
import numpy as np
import psutil
import pytest

from contract.conformance.bodies import wait_for, wait_for_job

MEBIBYTE = 2**20
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def small_workers(start_r_service):
    """Sessions with the smallest possible memory limit, which is enough to load the engine and calibrate LSAT 7."""
    return start_r_service(IRT_MAX_WORKER_BYTES=str(384 * MEBIBYTE))


def test_body_that_takes_too_much_memory_is_refused(small_workers, contract, lsat7):
    """One string of 200 MB, which R holds twice."""
    client, process = small_workers.client, small_workers.process.pid
    body = b'{"observations":["' + b"a" * (200 * MEBIBYTE) + b'"]}'
    response = client.post("/irt/calibrate", content=body, headers={"Content-Type": "application/json"})
    problem = contract.problem(response, 413, "too-large")
    assert "more memory" in problem["detail"]
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
    assert small_workers.running and small_workers.process.pid == process


@pytest.mark.parametrize("row", [b"[]", b"{}"])
def test_more_rows_of_nothing_than_there_may_be_rows(start_r_service, contract, lsat7, row):
    """Three bytes each in the request, and twenty times that in R: they are counted before they are read."""
    client = start_r_service(IRT_MAX_ROWS="100000").client
    body = b'{"observations":[' + (row + b",") * 400_000 + row + b"]}"
    response = client.post("/irt/calibrate", content=body, headers={"Content-Type": "application/json"})
    problem = contract.problem(response, 413, "too-large")
    assert "400,00" in problem["detail"] and "100,000 observations" in problem["detail"]
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_job_that_takes_too_much_memory_fails_alone(small_workers, contract, lsat7):
    """8,000 users on 2,001 nodes: checking them fits, and matrices of 128 MB do not. They come after two iterations."""
    rng = np.random.default_rng(3)
    users, items = 8_000, 5
    right = rng.random((users, items)) < 0.6
    columns = {
        "user_id": np.repeat(np.arange(users), items).tolist(),
        "item_id": np.tile(np.arange(items), users).tolist(),
        "is_correct": right.ravel().astype(int).tolist(),
    }
    client = small_workers.client
    request = {"observations": columns, "model": "Rasch", "options": {"quadrature_points": 2001, "max_iterations": 2}}
    response = client.post("/irt/calibrate", json=request)
    contract.problem(response, 413, "too-large")
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_checking_a_body_has_a_time_of_its_own(start_r_service, contract, long_request, lsat7):
    """Half a second of the processor is too little for 320,000 rows, and ten seconds for a session that hangs."""
    service = start_r_service(IRT_MAX_CHECK_SECONDS="0.5")
    client = service.client
    response = client.post("/irt/calibrate", json=long_request)
    contract.problem(response, 503, "job-timeout")
    assert response.json()["detail"].startswith("Checking the body took 0.5 seconds")
    _ready(service)
    for worker in service.workers():
        worker.suspend()
    contract.problem(client.post("/irt/calibrate", json={"observations": lsat7}), 503, "job-timeout")
    for worker in service.workers():
        worker.resume()
    # On a busy machine, ten seconds may be too short; any later submission will do.
    wait_for(lambda: client.post("/irt/calibrate", json={"observations": lsat7}).status_code, lambda code: code == 200)


def test_one_client_does_not_take_all_places(start_r_service, contract, lsat7):
    """Neither under a forged name nor with a known key; other clients still have places."""
    service = start_r_service(IRT_MAX_CHECKS_PER_CLIENT="1", IRT_MAX_CHECK_SECONDS="100000")
    key = {"Idempotency-Key": "known"}
    known = service.client.post("/irt/calibrate", json={"observations": lsat7}, headers=ASYNC | key)
    wait_for_job(service.client, known.headers["location"], "succeeded")
    _ready(service)
    stopped = service.workers()
    for worker in stopped:
        worker.suspend()
    answers: list[httpx.Response] = []
    waiting = [
        threading.Thread(target=lambda source=source: answers.append(_submit(service, lsat7, source, key)))
        for source in ("127.0.0.1", "127.0.0.2")
    ]
    try:
        for thread, places in zip(waiting, (1, 2), strict=True):
            thread.start()
            wait_for(lambda: len(_incoming(service)), lambda found, places=places: found == places)
        for headers in ({}, {"X-Forwarded-For": "127.0.0.9"}, key):
            refused = _submit(service, lsat7, "127.0.0.1", headers)
            contract.problem(refused, 429, "too-many-jobs")
            assert int(refused.headers["retry-after"]) > 0
    finally:
        for worker in stopped:
            worker.resume()
        for thread in waiting:
            thread.join()
    assert [answer.headers["location"] for answer in answers] == [known.headers["location"]] * 2


def _submit(service, columns, source: str, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport, base_url=service.client.base_url, timeout=None) as client:
        client.headers = service.client.headers
        return client.post("/irt/calibrate", json={"observations": columns}, headers=ASYNC | headers)


def _incoming(service) -> list:
    return list((service.folder / "state" / "incoming").iterdir())


def _ready(service) -> None:
    """Both sessions have loaded the engine: one that is stopped before that would never get work."""
    wait_for(lambda: [_libraries(worker) for worker in service.workers()], lambda found: found and all(found))


def _libraries(worker: psutil.Process) -> bool:
    return any("OpenMx" in region.path for region in worker.memory_maps()) and worker.status() == "sleeping"
