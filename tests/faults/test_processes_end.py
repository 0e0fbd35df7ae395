"""Every process that a night needs is killed in the middle of every task."""

from __future__ import annotations

import pytest
from night import STAGES, Barriers, Night

from local.waiting import wait_until

pytestmark = pytest.mark.e2e

# The tasks that each fault hits in CI: every task is hit by one or two. `./irt test --all` tries all combinations.
PAIRS = {
    "worker killed": ("extract_responses", "extract_anchors", "load"),
    "calibration service killed": ("plan_runs", "calibrate"),
    "PostgreSQL stopped": ("load", "publish"),
    "scheduler killed": ("calibrate", "check"),
}


@pytest.fixture
def struck(pytestconfig):
    """The stages that a fault hits."""

    def stages(fault: str) -> list[tuple[str, ...]]:
        if pytestconfig.getoption("--all"):
            return list(STAGES)
        return [stage for stage in STAGES if set(stage) & set(PAIRS[fault])]

    return stages


def test_every_task_is_struck():
    assert {task for tasks in PAIRS.values() for task in tasks} >= {stage[0] for stage in STAGES}


def _published_after(night: Night, barriers, outcomes, struck, fault: str, strike) -> None:
    """One run, with the fault in the tasks that it hits.

    :param strike: causes the fault, given the run, the running tasks, and the barriers, at the first of which they
        wait; returns the total number of tries that the tasks take.
    """
    stages = struck(fault)
    standing = barriers(*(task for stage in stages for task in stage))

    def attempts() -> int:
        return 1 + (fault == "calibration service killed" and standing.caught_calibration)

    with night.watched(attempts=attempts), standing:
        night.trigger()
        for stage in stages:
            for task in stage:
                standing.wait_at(task)
            with outcomes.of(fault, ", ".join(stage)) as outcome:
                tries = strike(night, stage, standing)
                for task in stage:
                    standing.release(task)
                took = max(night.wait_for(task, "success", tries=tries)["try_number"] for task in stage)
                outcome.outcome = f"success at try {took}"


def test_worker_killed(night, barriers, outcomes, struck):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        for task in stage:
            night.kill_worker(task)
        return 2

    _published_after(night, barriers, outcomes, struck, "worker killed", strike)


def test_service_killed(night, barriers, outcomes, struck):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        night.plant.restart_service()
        return 1

    _published_after(night, barriers, outcomes, struck, "calibration service killed", strike)


def test_database_stopped(night, barriers, outcomes, struck):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        night.plant.restart_database()
        standing.restore(but=stage)
        return 1 if stage[0] in ("plan_runs", "calibrate") else 2

    _published_after(night, barriers, outcomes, struck, "PostgreSQL stopped", strike)


def test_scheduler_killed(night, barriers, outcomes, struck):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        night.plant.restart_scheduler()
        return 2

    _published_after(night, barriers, outcomes, struck, "scheduler killed", strike)


def test_worker_comes_back(night, barriers, outcomes):
    """A frozen worker is given up, and its task is retried; then it wakes up, and two do the same work."""
    with night.watched(), barriers("load", "publish") as standing:
        night.trigger()
        for task in ("load", "publish"):
            standing.wait_at(task)
            with outcomes.of("worker frozen, given up, back", task) as outcome:
                with night.frozen_worker(task):
                    night.wait_for(task, "running", tries=2)
                    wait_until(
                        lambda: night.plant.waiting_sessions() == 2, what=f"two of {task}", work=night.plant.work
                    )  # fmt: skip
                    standing.release(task)
                took = night.wait_for(task, "success", tries=2)["try_number"]
                outcome.outcome = f"success at try {took}"
