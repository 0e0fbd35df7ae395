"""The staging disk is full."""

from __future__ import annotations

import pytest
from disk import require
from night import Night

from local.waiting import wait_until

pytestmark = pytest.mark.e2e

_FULL = "No space left on device"


@pytest.fixture
def disk(plant):
    require(plant.disk)
    yield plant.disk
    plant.disk.free()


def test_full_staging_disk(plant, night, barriers, disk, outcomes):
    extractions = ("extract_responses", "extract_anchors")
    with night.watched(), plant.gate.lasting_jobs(), barriers(*extractions) as standing:
        with outcomes.of("staging disk full", "plan_runs") as outcome:
            disk.fill()
            night.trigger()
            _failed_for_space(night, "plan_runs")
            disk.free()
            night.wait_for("plan_runs", "success", tries=2)
            outcome.outcome = "success once there was space"
        for task in extractions:
            with outcomes.of("staging disk full", task) as outcome:
                standing.wait_at(task)
                disk.fill()
                standing.release(task)
                _failed_for_space(night, task)
                disk.free()
                night.wait_for(task, "success", tries=2)
                outcome.outcome = "success once there was space"
        with outcomes.of("staging disk full", "calibrate") as outcome:
            night.wait_for("calibrate", "deferred")
            disk.fill()
            plant.gate.jobs_last = False
            _failed_for_space(night, "calibrate")
            disk.free()
            night.wait_for("calibrate", "success", tries=2)
            outcome.outcome = "success once there was space, the same job"


def _failed_for_space(night: Night, task: str) -> None:
    def failed() -> bool:
        found = night.task(task)
        return found["state"] == "up_for_retry" or found["try_number"] > 1

    wait_until(failed, what=f"the failure of {task}", work=night.plant.work)
    assert _FULL in night.log(task, 1)
