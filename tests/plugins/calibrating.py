"""The calibrate task, its trigger, and what a scripted service answers."""

from __future__ import annotations

import asyncio

import pytest
from airflow.sdk.exceptions import TaskDeferred

from irt.operators.calibrate import CalibrateOperator
from irt.triggers.calibration import CalibrationJobTrigger
from local.waiting import STILL
from tests.scripted import Answer

JOB = "/irt/jobs/j1"
RESULT = f"{JOB}/result"


def a_result(run_key: str = "run-1/math") -> dict:
    return {
        "item_params": [
            {"item_id": "1", "model": "2PL", "params": {"a": 1.0, "b": 0.5}, "se": {"a": 0.1, "b": 0.2}},
            {"item_id": "2", "model": "2PL", "params": {"a": 0.7, "b": -1}, "se": {"a": 0.1, "b": 0.2}},
        ],
        "abilities": [{"user_id": "u1", "theta": 0.3, "se": 0.8}, {"user_id": "수", "theta": -0.3, "se": 0.9}],
        "fit_meta": {
            "run_id": run_key,
            "model_spec": {"model": "2PL", "n_items": 2, "n_users": 2, "linking_constants": {
                "slope": 1.19, "intercept": 0.41, "method": "stocking_lord", "n_anchors_used": 2}},
            "metrics": {"loglik": -3.2, "converged": True, "n_iterations": 9},
        },
    }  # fmt: skip


def operator(run, **settings) -> CalibrateOperator:
    """By default, one that leaves all waiting to the trigger."""
    return CalibrateOperator(task_id="calibrate", run=run.to_dict(), **{"in_place": 0, **settings})


def events(job: str = "irt/jobs/j1", **settings) -> dict:
    """The event that the trigger ends with."""
    trigger = CalibrationJobTrigger("r_irt", job, **({"poll_interval": 0.05} | settings))

    async def first():
        async for event in trigger.run():
            return event.payload

    return asyncio.run(asyncio.wait_for(first(), STILL))


def submit(run, **settings) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        operator(run, **settings).execute({})
    return deferred.value


def resume(run, event: dict) -> dict:
    return operator(run).resume({}, event, job="irt/jobs/j1", contract="1.0")


def accepted() -> Answer:
    return Answer(202, {"job_id": "j1", "status": "queued"}, {"Location": JOB, "Retry-After": "1"})
