"""The health check under load, and the figures."""

from __future__ import annotations

import re
import time

import httpx
import psutil

from contract.conformance.bodies import wait_for


def test_health_tells_the_limits(client):
    assert client.get("/healthz").json()["limits"] == {"body_bytes": 16 * 2**20, "rows": 450_000}


def test_health_answers_at_once_under_load(start_service, long_request, lsat7):
    """Every processor is busy, and big bodies come in besides."""
    service = start_service("--max-running", str(psutil.cpu_count()))
    client = service.client
    headers = {"Prefer": "respond-async"}
    urls = [
        client.post("/irt/calibrate", headers=headers, **long_request).headers["location"]
        for _ in range(psutil.cpu_count())
    ]
    wait_for(lambda: all(client.get(url).json()["progress"] for url in urls), 90)
    repeat = 20
    users = [f"{user}-{copy}" for copy in range(repeat) for user in lsat7["user_id"]]
    big = {"user_id": users, "item_id": lsat7["item_id"] * repeat, "is_correct": lsat7["is_correct"] * repeat}
    with httpx.Client(base_url=client.base_url, trust_env=False) as probe:
        seconds = []
        submitted = client.build_request("POST", "/irt/calibrate", json={"observations": big}, headers=headers)
        from threading import Thread

        sending = Thread(target=lambda: urls.append(client.send(submitted).headers["location"]))
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
    assert sorted(seconds)[int(0.99 * len(seconds))] < 0.1


def test_metrics_are_prometheus_text(start_service, lsat7):
    client = start_service().client
    client.post("/irt/calibrate", json={"observations": lsat7})
    client.post("/irt/calibrate", json={})
    client.get("/irt/jobs", headers={"Authorization": "Bearer wrong"})
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    sample = re.compile(r'^[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? [0-9.e+-]+$')
    helped = set()
    for line in response.text.splitlines():
        if line.startswith("#"):
            helped.add(line.split()[2])
        else:
            assert sample.match(line), line
            assert re.sub("_(bucket|sum|count)$", "", line.split("{")[0].split()[0]) in helped | {"irt_jobs"}, line
    for expected in (
        'irt_requests_total{route="calibrate",status="200"} 1.0',
        'irt_requests_total{route="calibrate",status="422"} 1.0',
        'irt_requests_total{route="none",status="401"} 1.0',
        'irt_jobs_total{kind="calibrate",status="succeeded"} 1.0',
        'irt_observations_total{kind="calibrate"} 5000.0',
        'irt_jobs{status="running"} 0',
    ):
        assert expected in response.text.splitlines()
