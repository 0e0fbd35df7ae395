"""What the contract's conformance tests cannot see of the R service: its processes, its limits, its state."""

from __future__ import annotations

import json

import pytest
from service_harness import assert_gone

from contract.conformance.bodies import wait_for, wait_for_job
from irt_engine.service.metrics import Metrics
from tests.prometheus import promtool

ASYNC = {"Prefer": "respond-async"}


def submit(client, request, **headers: str) -> str:
    response = client.post("/irt/calibrate", json=request, headers={**ASYNC, **headers})
    assert response.status_code == 202, response.text
    return response.headers["location"]


def test_killed_in_the_middle(service, contract, lsat7):
    """`kill -9`: sessions end too, and the next service runs the jobs again under their ids, the oldest first."""
    body = {"observations": lsat7, "model": "3PL"}
    urls = [submit(service.client, body | {"options": {"run_id": f"{n}"}}) for n in range(3)]
    wait_for_job(service.client, urls[0], "running", "succeeded")
    # Another process reports them, now and then.
    assert_gone(service.kill(), 20)
    service.start()
    assert {service.client.get(url).json()["status"] for url in urls} <= {"queued", "running", "succeeded"}
    finished = [wait_for_job(service.client, url, "succeeded")["finished_at"] for url in urls]
    assert finished == sorted(finished)
    contract.check("Calibration", service.client.get(f"{urls[0]}/result").json())


def test_finished_jobs_and_their_keys_survive(service, lsat7):
    url = submit(service.client, {"observations": lsat7}, **{"Idempotency-Key": "night"})
    done = wait_for_job(service.client, url, "succeeded")
    result = service.client.get(f"{url}/result").content
    service.kill()
    service.start()
    assert service.client.get(url).json() == done
    assert service.client.get(f"{url}/result").content == result
    assert submit(service.client, {"observations": lsat7}, **{"Idempotency-Key": "night"}) == url


def test_killed_between_result_and_record(service, lsat7):
    """An existing result is complete; its record, not yet written, is completed from it."""
    url = submit(service.client, {"observations": lsat7})
    wait_for_job(service.client, url, "succeeded")
    result = service.client.get(f"{url}/result").content
    service.kill()
    record = service.folder / "state" / "jobs" / url.rpartition("/")[2] / "job.json"
    ended = json.loads(record.read_text())
    del ended["finished_at"]
    record.write_text(json.dumps(ended | {"status": "running"}))
    service.start()
    assert service.client.get(url).json()["status"] == "succeeded"
    assert service.client.get(f"{url}/result").content == result


def test_queue_has_an_end(start_r_service, contract, long_request, lsat7):
    client = start_r_service(IRT_MAX_QUEUED="1").client
    first, second = submit(client, long_request), submit(client, long_request, **{"Idempotency-Key": "second"})
    wait_for_job(client, first, "running")
    response = client.post("/irt/calibrate", json={"observations": lsat7})
    contract.problem(response, 429, "too-many-jobs")
    assert int(response.headers["retry-after"]) > 0
    assert submit(client, long_request, **{"Idempotency-Key": "second"}) == second
    for url in (first, second):
        assert client.delete(url).json()["status"] == "cancelled"
    assert client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200
    counted = samples(client)
    assert counted['irt_refused_total{reason="too-many-jobs"}'] == 1
    assert counted['irt_jobs_total{kind="calibrate",status="cancelled"}'] == 2


def test_killed_session_fails_its_job_and_nothing_else(service, contract, long_request, lsat7):
    url = submit(service.client, long_request)
    wait_for_job(service.client, url, "running")
    service.busy_worker().kill()
    failed = wait_for_job(service.client, url, "failed")
    contract.check("Job", failed)
    assert failed["error"]["type"] == "urn:irt:problem:worker-died"
    assert service.client.post("/irt/calibrate", json={"observations": lsat7}).status_code == 200


def test_job_that_takes_too_long(start_r_service, contract, long_request):
    client = start_r_service(IRT_MAX_JOB_SECONDS="2").client
    contract.problem(client.post("/irt/calibrate", json=long_request), 503, "job-timeout")


def test_results_are_removed_after_their_time(start_r_service, contract, lsat7):
    client = start_r_service(IRT_KEEP_RESULTS_SECONDS="1").client
    url = submit(client, {"observations": lsat7})
    wait_for(lambda: client.get(url).json(), lambda found: found["status"] == 404)
    contract.problem(client.get(f"{url}/result"), 404, "not-found")


def test_token_is_nowhere_to_be_seen(service, lsat7):
    submit(service.client, {"observations": lsat7})
    for process in service.descendants():
        assert service.token not in " ".join(process.cmdline())
        assert service.token not in process.environ().values()
    assert service.token not in service.log()
    written = b"".join(path.read_bytes() for path in service.folder.rglob("*") if path.is_file())
    assert service.token.encode() not in written


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("IRT_SERVICE_TOKEN", " ", "IRT_SERVICE_TOKEN"),
        ("IRT_MAX_ROWS", "many", "IRT_MAX_ROWS must be a number"),
        ("IRT_ENGINE", "winsteps", "winsteps"),
    ],
)
def test_it_refuses_to_start_without_a_token_or_with_a_wrong_limit(service, name, value, reason):
    status, told = service.refusal(**{name: value})
    assert status != 0
    assert reason in told


def samples(client) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_count_as_those_of_the_python_service(service, lsat7):
    client, before = service.client, samples(service.client)
    wait_for_job(client, submit(client, {"observations": lsat7}), "succeeded")
    assert client.post("/irt/calibrate", json={"observations": lsat7, "model": "7PL"}).status_code == 422
    after, answer = samples(client), client.get("/metrics")
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed == {'irt_jobs_total{kind="calibrate",status="succeeded"}': 1, "irt_jobs_kept": 1}
    assert after['irt_jobs{status="running"}'] == after['irt_jobs{status="queued"}'] == 0
    # Its counters from the start, with the same labels; both gauges are irt_engine.service.jobs.service's.
    counted = {line.rpartition(" ")[0] for line in Metrics().render().splitlines() if not line.startswith("#")}
    assert set(after) == counted | {'irt_jobs{status="running"}', 'irt_jobs{status="queued"}', "irt_jobs_kept"}
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    promtool("check", "metrics", given=answer.text)
