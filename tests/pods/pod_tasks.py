"""The task `calibrate` of a bank in pods on a real cluster: start, wait as the triggerer does, resume.

The task's context is a fake (`Context`); test_pod_dag.py uses a whole Airflow.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import TaskDeferred

from irt.operators.calibrate import CalibrateOperator
from irt.staging import ANCHORS, RESPONSES
from tests.runs import a_run


class Context(dict):
    """The context of one task; its tries share a store, as in Airflow."""

    def __init__(self, run: Any, store: dict | None = None, try_number: int = 1) -> None:
        ti = SimpleNamespace(
            dag_id="irt_calibration_nightly", task_id="bank.calibrate", run_id=run.dag_run_id, map_index=0,
            try_number=try_number, start_date=datetime.now(timezone.utc), xcom_push=lambda key, value: None,
        )  # fmt: skip
        super().__init__(ti=ti, run_id=run.dag_run_id, dag=SimpleNamespace(), task_state_store=Store(store))


class Store:
    """The part of Airflow's task state store that the provider uses."""

    def __init__(self, kept: dict | None) -> None:
        self.kept = {} if kept is None else kept

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = value


def staged_run(folder: Any, *, users: int = 500, always_right: bool = False, run_id: str = "run-1", **bank: Any) -> Any:
    """A run of a bank in pods, whose responses are staged."""
    small = {"runtime": "pod", "pod": {"cpu": 0.5, "memory": "1Gi"}, "linking": {"method": "none"}}
    run = a_run(folder, bank=small | bank, run_id=run_id)
    stage_responses(run, users, always_right=always_right)
    return run


def stage_responses(run: Any, users: int, *, always_right: bool = False) -> None:
    random = np.random.RandomState(7)
    items = 20
    user, item = np.repeat(np.arange(users), items), np.tile(np.arange(items), users)
    theta, b = random.normal(size=users), random.normal(size=items)
    right = random.random_sample(len(user)) < 1 / (1 + np.exp(-(theta[user] - b[item])))
    table = pa.table(
        {
            "user_id": user.astype(str),
            "item_id": item.astype(str),
            "is_correct": np.ones_like(right) if always_right else right,
        }
    )
    with run.write_staged(RESPONSES) as file:
        pq.write_table(table, file)
    with run.write_staged(ANCHORS, "w") as file:
        json.dump([], file)


def operator(run: Any) -> CalibrateOperator:
    return CalibrateOperator(task_id="calibrate", run=run.to_dict(), in_place=0)


def send(run: Any, context: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        operator(run).execute(context)
    return deferred.value


def wait(deferred: TaskDeferred) -> dict[str, Any]:
    async def first() -> dict[str, Any]:
        async for event in deferred.trigger.run():
            return event.payload
        raise AssertionError("the trigger ended without an event")

    # It ends with the pod, whose times to start and to work are limited.
    return asyncio.run(first())


def go_on(run: Any, context: Context, deferred: TaskDeferred, event: dict[str, Any]) -> dict[str, Any]:
    assert deferred.method_name == "resume_pod"
    return operator(run).resume_pod(context, event)


def whole(run: Any, context: Context) -> dict[str, Any]:
    deferred = send(run, context)
    return go_on(run, context, deferred, wait(deferred))
