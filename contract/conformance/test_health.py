"""The health check, also while the service works."""

from __future__ import annotations

import time
from threading import Thread

import httpx

from contract.conformance.bodies import wait_for

_SECONDS = 0.25


def test_health_says_what_the_service_can_do(client, contract):
    response = client.get("/healthz")
    assert response.status_code == 200
    contract.check("Health", response.json())
    assert response.json()["status"] == "ok"
    assert client.head("/healthz").status_code == 200


def test_health_answers_at_once_while_a_calibration_runs(client, long_request, lsat7):
    """A larger body comes in and is checked besides."""
    headers = {"Prefer": "respond-async"}
    urls = [client.post("/irt/calibrate", headers=headers, json=long_request).headers["location"]]
    wait_for(lambda: client.get(urls[0]).json()["status"] == "running", 90)
    repeat = 8
    users = [f"{user}-{copy}" for copy in range(repeat) for user in lsat7["user_id"]]
    large = {"user_id": users, "item_id": lsat7["item_id"] * repeat, "is_correct": lsat7["is_correct"] * repeat}
    request = client.build_request("POST", "/irt/calibrate", json={"observations": large}, headers=headers)
    sending = Thread(target=lambda: urls.append(client.send(request).headers["location"]))
    seconds = []
    with httpx.Client(base_url=client.base_url, trust_env=False) as probe:
        sending.start()
        for _ in range(100):
            started = time.perf_counter()
            assert probe.get("/healthz").status_code == 200
            seconds.append(time.perf_counter() - started)
            time.sleep(0.02)
        sending.join()
    for url in urls:
        client.delete(url)
    # The client shares the processors; one late probe in a hundred is its own.
    assert sorted(seconds)[int(0.99 * len(seconds)) - 1] < _SECONDS
