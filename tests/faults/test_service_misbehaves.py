"""A service that is slow, hangs, cuts off, or returns a wrong result; and a triggerer that is killed meanwhile."""

from __future__ import annotations

import psycopg
import pytest
from gate import RESULT, SUBMISSION, HeldAnswer, cut_off, of_another_run

from local.postgres import METADATA
from local.waiting import wait_until

pytestmark = pytest.mark.e2e


def test_slow_service_and_triggerer_killed(plant, night, outcomes):
    with night.watched(), plant.gate.lasting_jobs():
        with outcomes.of("slow service (frozen for five heartbeats)", "calibrate") as outcome:
            plant.service.suspend()
            night.trigger()
            wait_until(lambda: plant.gate.open_requests, what="a request of calibrate", work=plant.work)
            _wait_for_heartbeats(plant, night.task("calibrate")["id"], 5)
            plant.service.resume()
            assert night.wait_for("calibrate", "deferred")["try_number"] == 1
            outcome.outcome = "waited, deferred at try 1"
        with outcomes.of("triggerer killed", "calibrate") as outcome:
            plant.restart_triggerer()
            assert night.task("calibrate")["state"] == "deferred"
            plant.gate.jobs_last = False
            night.wait_for("calibrate", "success")
            assert _submitted_deferred_received(night.log("calibrate", 1))
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
    """The service accepts the job and then stays silent; an operator clears the waiting task."""
    held = HeldAnswer()
    with night.watched(), outcomes.of("hanging service, task cleared", "calibrate") as outcome:
        plant.gate.next("POST", SUBMISSION, held)
        night.trigger()
        wait_until(held.reached.is_set, what="the submission", work=plant.work)
        night.clear("calibrate")
        night.wait_for("calibrate", "success", tries=2)
        outcome.outcome = "success at try 2, the same job"
    held.release()


def _submitted_deferred_received(log: str) -> bool:
    """It waited in the triggerer."""
    said = ("runs the calibration as job irt/jobs/", "DEFERRED", "Linking constants received")
    return -1 < log.find(said[0]) < log.find(said[1]) < log.find(said[2])


def _wait_for_heartbeats(plant, task_instance: str, number: int) -> None:
    """Waits for `number` more heartbeats of the task."""
    heard = set()

    def enough() -> bool:
        with psycopg.connect(plant.stack.postgres.conninfo(METADATA)) as connection:
            query = "select last_heartbeat_at from task_instance where id::text = %s"
            heard.add(connection.execute(query, [task_instance]).fetchone()[0])
        return len(heard) > number

    wait_until(enough, what="heartbeats of the task", work=lambda: len(heard))
