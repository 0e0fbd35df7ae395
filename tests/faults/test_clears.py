"""An operator clears tasks of a published run."""

from __future__ import annotations

import pytest
from night import STAGES, check_seen, nothing_is_left

from local.waiting import wait_until

pytestmark = pytest.mark.e2e


# tests/e2e/test_demo.py clears the others, with the tasks downstream; `./irt test --all` clears all of them here.
IN_CI = ("plan_runs", "extract_anchors", "check", "publish")


def test_single_tasks_cleared(plant, night, outcomes, pytestconfig):
    every = [task for stage in STAGES for task in stage]
    night.trigger()
    night.finish()
    first, mark = plant.reader.now(), plant.reader.mark()
    before = first
    for task in every if pytestconfig.getoption("--all") else IN_CI:
        with outcomes.of("cleared after success", task) as outcome:
            tries = night.task(task)["try_number"]
            night.clear(task)
            wait_until(lambda: not night.ended, what=f"the clear of {task}", work=plant.work)
            night.finish()
            assert night.task(task)["try_number"] == tries + 1
            if task == "publish" and pytestconfig.getoption("--all"):
                # Loaded and judged again, it is a new publication with the same figures.
                before = _the_same_anew(plant.reader.now(), before, night)
            assert plant.reader.now() == before
            outcome.outcome = "success, nothing changed"
    assert night.registry[0] == "published"
    night.ran_once()
    night.rows_are_whole()
    check_seen(plant.reader.since(mark), first, before)
    nothing_is_left(plant)


def _the_same_anew(now, before, night):
    assert now.fitted_at == night.published_at > before.fitted_at
    assert [(t.rows, t.keys) for t in (now.items, now.abilities)] == [
        (t.rows, t.keys) for t in (before.items, before.abilities)
    ]
    return now
