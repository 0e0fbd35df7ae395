"""An operator clears tasks of a run that is published."""

from __future__ import annotations

import pytest
from night import STAGES, check_seen, nothing_is_left

from local.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_every_single_task_cleared(plant, night, outcomes):
    night.trigger()
    night.finish()
    before, mark = plant.reader.now(), plant.reader.mark()
    for task in [task for stage in STAGES for task in stage]:
        with outcomes.of("cleared after success", task) as outcome:
            tries = night.task(task)["try_number"]
            night.clear(task)
            wait_until(lambda: not night.ended, seconds=20, what=f"the clear of {task}")
            night.finish()
            assert night.task(task)["try_number"] == tries + 1
            assert plant.reader.now() == before
            outcome.outcome = "success, nothing changed"
    assert night.registry[0] == "published"
    night.ran_once()
    night.rows_are_whole()
    check_seen(plant.reader.since(mark), before, before)
    nothing_is_left(plant)
