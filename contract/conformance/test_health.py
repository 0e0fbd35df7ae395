"""The health check, also while the service is busy."""

from __future__ import annotations

from statistics import median

from contract.conformance.bodies import repeated, wait_for_job
from contract.conformance.silence import longest_silence

ASYNC = {"Prefer": "respond-async"}


def test_health_says_what_the_service_can_do(client, contract):
    response = client.get("/healthz")
    assert response.status_code == 200
    contract.check("Health", response.json())
    assert response.json()["status"] == "ok"
    assert client.head("/healthz").status_code == 200


def test_health_answers_at_once_while_a_calibration_runs(client, long_request, lsat7):
    """Meanwhile a larger body is sent and checked, three times, because the machine itself may stall once."""
    running = client.post("/irt/calibrate", headers=ASYNC, json=long_request).headers["location"]
    wait_for_job(client, running, "running")
    request = client.build_request("POST", "/irt/calibrate", json={"observations": repeated(lsat7, 60)}, headers=ASYNC)
    silences = [longest_silence(client, request) for _ in range(3)]
    assert client.get(running).json()["status"] == "running"
    client.delete(running)
    assert median(silences) < 1 / 4, silences
