"""Every process that a night needs is ended in the middle of every task."""

from __future__ import annotations

import pytest
from night import STAGES, Barriers, Night

from local.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def _published_after(night: Night, barriers, outcomes, fault: str, strike, *, attempts: int = 1) -> None:
    """One run that meets the fault in each of its tasks.

    :param strike: does it, given the run, the tasks at work, and the barriers, at the first of which they stand;
        returns how many tries the tasks take in all.
    :param attempts: how often the service works on the run's one job.
    """
    with night.watched(attempts=attempts), barriers() as standing:
        night.trigger()
        for stage in STAGES:
            for task in stage:
                standing.wait_at(task)
            with outcomes.of(fault, ", ".join(stage)) as outcome:
                tries = strike(night, stage, standing)
                for task in stage:
                    standing.release(task)
                took = max(night.wait_for(task, "success", tries=tries)["try_number"] for task in stage)
                outcome.outcome = f"success at try {took}"


def test_worker_killed(night, barriers, outcomes):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        for task in stage:
            night.kill_worker(task)
        return 2

    _published_after(night, barriers, outcomes, "worker killed", strike)


def test_service_killed(night, barriers, outcomes):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        night.plant.restart_service()
        return 1

    _published_after(night, barriers, outcomes, "calibration service killed", strike, attempts=2)


def test_database_stopped(night, barriers, outcomes):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        night.plant.restart_database()
        standing.restore(but=stage)
        return 1 if stage[0] in ("plan_runs", "calibrate") else 2

    _published_after(night, barriers, outcomes, "PostgreSQL stopped", strike)


def test_scheduler_killed(night, barriers, outcomes):
    def strike(night: Night, stage: tuple[str, ...], standing: Barriers) -> int:
        night.plant.restart_scheduler()
        return 2

    _published_after(night, barriers, outcomes, "scheduler killed", strike)


def test_worker_comes_back(night, barriers, outcomes):
    """A worker that is frozen is given up, and its task starts again; then it goes on, and two do the same."""
    with night.watched(), barriers("load", "publish") as standing:
        night.trigger()
        for task in ("load", "publish"):
            standing.wait_at(task)
            with outcomes.of("worker frozen, given up, back", task) as outcome:
                with night.frozen_worker(task):
                    night.wait_for(task, "running", tries=2)
                    wait_until(lambda: night.plant.waiting_sessions() == 2, seconds=30, what=f"two of {task}")
                    standing.release(task)
                took = night.wait_for(task, "success", tries=2)["try_number"]
                outcome.outcome = f"success at try {took}"
