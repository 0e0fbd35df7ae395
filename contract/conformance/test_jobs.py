"""The life of a job: submitted, watched, cancelled, fetched."""

from __future__ import annotations

import pytest

from contract.conformance.bodies import wait_for, wait_for_job

ASYNC = {"Prefer": "respond-async"}


def test_from_submission_to_result(client, contract, lsat7):
    response = client.post("/irt/calibrate", json={"observations": lsat7}, headers={"Prefer": "wait=5, Respond-Async"})
    assert response.status_code == 202, response.text
    assert response.headers["preference-applied"] == "respond-async"
    assert int(response.headers["retry-after"]) >= 0
    job = response.json()
    contract.check("Job", job)
    url = response.headers["location"]
    assert url == f"/irt/jobs/{job['job_id']}"
    done = wait_for_job(client, url, "succeeded")
    contract.check("Job", done)
    assert done["result"] == f"{url}/result"
    assert done["timings"]
    assert done["submitted_at"] <= done["started_at"] <= done["finished_at"]
    result = client.get(done["result"])
    contract.check("Calibration", result.json())
    assert result.content == client.post("/irt/calibrate", json={"observations": lsat7}).content
    assert job["job_id"] in [listed["job_id"] for listed in client.get("/irt/jobs").json()["jobs"]]
    assert client.delete(url).json() == done
    assert client.get(done["result"]).content == result.content


def test_cancellation(client, contract, long_request):
    response = client.post("/irt/calibrate", json=long_request, headers=ASYNC)
    assert response.status_code == 202, response.text
    url = response.headers["location"]
    running = wait_for_job(client, url, "running")
    contract.check("Job", running)
    contract.problem(client.get(f"{url}/result"), 409, "no-result")
    cancelled = client.delete(url)
    assert cancelled.status_code == 200
    contract.check("Job", cancelled.json())
    assert cancelled.json()["status"] == "cancelled"
    assert client.delete(url).json() == cancelled.json()
    contract.problem(client.get(f"{url}/result"), 409, "no-result")
    wait_for(lambda: client.get("/healthz").json()["jobs"], lambda jobs: not jobs["running"])


@pytest.mark.parametrize(
    "job_id", ["unknown", "..", "%2e%2e", "%2e%2e%2fjobs", "%00", "%ff", "x" * 5000, "'; drop table", "%0a"]
)
def test_unknown_jobs(client, contract, job_id):
    for method, suffix in (("GET", ""), ("DELETE", ""), ("GET", "/result")):
        response = client.request(method, f"/irt/jobs/{job_id}{suffix}")
        # The client resolves some of these itself, to paths that do not exist.
        assert response.status_code in (404, 405)
        contract.problem(response, response.status_code, response.json()["type"].rpartition(":")[2])


def test_unknown_paths_and_methods(client, contract):
    for path in ("/", "/irt", "/irt/jobs/", "/irt/calibrate/", "/healthz/", "/docs", "/openapi.json"):
        contract.problem(client.get(path), 404, "not-found")
    for method, path in (
        ("GET", "/irt/calibrate"),
        ("DELETE", "/irt/jobs"),
        ("PUT", "/irt/jobs/x"),
        ("POST", "/healthz"),
    ):
        response = client.request(method, path)
        contract.problem(response, 405, "method-not-allowed")
        assert response.headers["allow"]
