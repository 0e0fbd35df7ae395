"""A service that is slow, hangs, breaks off, or answers what was not asked; and a triggerer that ends meanwhile."""

from __future__ import annotations

import time

import pytest
from gate import RESULT, SUBMISSION, HeldAnswer, cut_off, of_another_run

from local.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_slow_service_and_triggerer_killed(plant, night, outcomes):
    with night.watched():
        with outcomes.of("slow service (frozen for 5 s)", "calibrate") as outcome:
            plant.service.suspend()
            night.trigger()
            wait_until(lambda: plant.gate.open_requests, seconds=60, what="a request of calibrate")
            time.sleep(5)
            plant.service.resume()
            assert night.wait_for("calibrate", "deferred")["try_number"] == 1
            outcome.outcome = "waited, deferred at try 1"
        with outcomes.of("triggerer killed", "calibrate") as outcome:
            plant.restart_triggerer()
            assert night.task("calibrate")["state"] == "deferred"
            night.wait_for("calibrate", "success")
            outcome.outcome = "success at try 1"


def test_result_cut_off_then_of_another_run(plant, night, outcomes):
    with night.watched():
        plant.gate.next("GET", RESULT, cut_off)
        plant.gate.next("GET", RESULT, of_another_run)
        before, mark = plant.reader.now(), plant.reader.mark()
        with outcomes.of("result cut off", "calibrate") as outcome:
            night.trigger()
            night.wait_for("calibrate", "failed", tries=2)
            assert "TransientError" in night.log("calibrate", 1)
            outcome.outcome = "retried, asked for the same job's result"
        with outcomes.of("result of another run", "calibrate") as outcome:
            night.finish("failed")
            assert "'another-run/lsat7' is not this run" in night.log("calibrate", 2)
            assert set(plant.reader.since(mark)) == {before}
            night.clear("calibrate", downstream=True)
            night.wait_for("calibrate", "success", tries=3)
            outcome.outcome = "failed at once, nothing changed; cleared: success"


def test_service_hangs_and_the_task_is_cleared(plant, night, outcomes):
    """The service has taken the job and then says nothing; an operator clears the task that waits for it."""
    held = HeldAnswer()
    with night.watched(), outcomes.of("hanging service, task cleared", "calibrate") as outcome:
        plant.gate.next("POST", SUBMISSION, held)
        night.trigger()
        wait_until(held.reached.is_set, seconds=60, what="the submission")
        night.clear("calibrate")
        night.wait_for("calibrate", "success", tries=2)
        outcome.outcome = "success at try 2, the same job"
    held.release()
