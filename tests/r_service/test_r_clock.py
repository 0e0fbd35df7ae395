"""The R service while the machine's clock is set: what waits or is limited must not go by the time of day."""

from __future__ import annotations

from bench.clock import Clock
from contract.conformance.bodies import wait_for_job

DAY = 86_400


def test_the_clock_is_set_during_a_job(start_r_service, lsat7, tmp_path):
    """Set back by a day, R's own waits would last a day; set forward, a job would be out of time at once."""
    clock = Clock(tmp_path / "clock")
    service = start_r_service(**clock.env())
    for seconds in (-DAY, DAY, 0):
        answer = service.client.post(
            "/irt/calibrate", json={"observations": lsat7}, headers={"Prefer": "respond-async"}
        )
        clock.set(seconds)
        job = wait_for_job(service.client, answer.headers["location"], "succeeded", "failed")
        assert job["status"] == "succeeded", job
