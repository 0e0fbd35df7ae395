"""The health check under load, and the metrics."""

from __future__ import annotations

import re
from statistics import median

import psutil

from contract.conformance.bodies import repeated, wait_for
from contract.conformance.silence import longest_silence
from tests.prometheus import promtool, used


def test_health_tells_the_limits(client):
    assert client.get("/healthz").json()["limits"] == {"body_bytes": 16 * 2**20, "rows": 450_000}


def test_health_answers_at_once_under_load(start_service, long_request, lsat7):
    """Every processor is busy while large bodies arrive."""
    service = start_service("--max-running", str(psutil.cpu_count()))
    client = service.client
    headers = {"Prefer": "respond-async"}
    urls = [
        client.post("/irt/calibrate", headers=headers, **long_request).headers["location"]
        for _ in range(psutil.cpu_count())
    ]
    wait_for(lambda: [client.get(url).json() for url in urls], lambda jobs: all(job["progress"] for job in jobs))
    big = {"observations": repeated(lsat7, 60)}
    silences = [
        longest_silence(client, client.build_request("POST", "/irt/calibrate", json=big, headers=headers))
        for _ in range(3)
    ]
    assert {client.get(url).json()["status"] for url in urls} == {"running"}
    service.end_jobs()
    # One slow answer may be the machine's fault.
    assert median(silences) < 1 / 4, silences


def figures(text: str) -> dict[str, float]:
    """The metrics by name and labels."""
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in samples(text))}


def samples(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_metrics_are_prometheus_text(client, lsat7):
    before = figures(client.get("/metrics").text)
    client.post("/irt/calibrate", json={"observations": lsat7})
    client.post("/irt/calibrate", json={})
    client.get("/irt/jobs", headers={"Authorization": "Bearer wrong"})
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    sample = re.compile(r'^[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? [0-9.e+-]+$')
    helped = {line.split()[2] for line in response.text.splitlines() if line.startswith("#")}
    for line in samples(response.text):
        assert sample.match(line), line
        assert re.sub("_(bucket|sum|count)$", "", line.split("{")[0].split()[0]) in helped | {"irt_jobs"}, line
    counted = figures(response.text)
    for name, more in (
        ('irt_requests_total{route="calibrate",status="200"}', 1),
        ('irt_requests_total{route="calibrate",status="422"}', 1),
        ('irt_requests_total{route="none",status="401"}', 1),
        ('irt_jobs_total{kind="calibrate",status="succeeded"}', 1),
        ('irt_observations_total{kind="calibrate"}', 5000),
    ):
        assert counted[name] - before.get(name, 0) == more, name
    assert counted['irt_jobs{status="running"}'] == 0


def test_rules_and_dashboard_use_series_that_exist(client, lsat7):
    """After one job; all that alerts count begins at 0."""
    fresh = figures(client.get("/metrics").text)
    for kind in ("calibrate", "score"):
        assert f'irt_jobs_total{{kind="{kind}",status="failed"}}' in fresh
    assert {'irt_refused_total{reason="too-many-jobs"}', 'irt_refused_total{reason="too-many-of-client"}'} <= set(fresh)
    client.post("/irt/calibrate", json={"observations": lsat7})
    names = {sample.partition("{")[0] for sample in figures(client.get("/metrics").text)}
    asked = {name for name in used() if name.startswith("irt_")}
    assert len(asked) >= 5 and asked <= names


def test_prometheus_can_read_the_metrics(client):
    promtool("check", "metrics", given=client.get("/metrics").text)
