"""Runs one task of the chain in this process, as Airflow does: `python -m bench.task STEP ORDER RESULT`.

The clock starts after all imports (which are Airflow's overhead) and stops when the operator returns.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger

from bench.memory import high_water
from irt.ability_table import ABILITY_SCHEMA
from irt.bank import SEVERITY
from irt.banks import banks_of
from irt.form import params
from irt.operators.calibrate import CalibrateOperator
from irt.operators.check import CheckRunOperator
from irt.operators.extract import ExtractAnchorsOperator, ExtractResponsesOperator
from irt.operators.load import LoadOperator
from irt.operators.publish import PublishOperator
from irt.result import ITEM_SCHEMA, CalibrationResult
from irt.run import Run, plan_run
from irt.staged_result import write_result
from irt.staging import ANCHORS

# Imported by the operators when they run.
# pyarrow imports pandas with the first value that it gives to Python.
_USED = ("pandas", "irt.extraction.staging", "irt.hooks.postgres", "irt.migrations", "irt.service", "irt.staged_result")
# The settings of a scheduled run.
_FORM = {name: param.value for name, param in params(["bench"]).items()}


def main() -> None:
    step, order_file, result_file = sys.argv[1:]
    order = json.loads(Path(order_file).read_text())
    run = _plan(order["run"])
    for module in _USED:
        importlib.import_module(module)
    began, worked = time.perf_counter(), time.process_time()
    value = STEPS[step](run, order["input"])
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    result = {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": _peak(), "value": value}
    Path(result_file).write_text(json.dumps(result))


def _plan(fields: dict[str, Any]) -> Run:
    banks = banks_of([fields["bank"]])
    end = datetime.fromisoformat(fields["end"])
    return plan_run(
        banks.default, banks=banks, dag_run_id=fields["run_id"], end=end, staging=fields["staging"], params=_FORM
    )


def _peak() -> int:
    # Linux lets a child inherit its parent's peak in `ru_maxrss`; macOS does not, and counts bytes.
    return high_water("self") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _operator(kind: Any, **more: Any) -> Callable[[Run, Any], Any]:
    return lambda run, _: kind(task_id="bench", run=run.to_dict(), **more).execute({})


def _send_and_wait(run: Run, _: Any) -> dict[str, Any]:
    """Do the work of the task and then of the triggerer, but without starting a new process in between."""
    began = time.perf_counter()
    try:
        CalibrateOperator(task_id="bench", run=run.to_dict(), in_place=0).execute({})
        raise SystemExit("the service answered at once")
    except TaskDeferred as deferred:
        sent = time.perf_counter() - began
        event = asyncio.run(_first_event(deferred.trigger))
        return {"sent_seconds": sent, "event": event, "kwargs": deferred.kwargs}


async def _first_event(trigger: BaseTrigger) -> dict[str, str]:
    async for event in trigger.run():
        return event.payload
    raise SystemExit("the trigger ended without an event")


def _resume(run: Run, sent: dict[str, Any]) -> dict[str, Any]:
    return CalibrateOperator(task_id="bench", run=run.to_dict()).resume({}, sent["event"], **sent["kwargs"])


def _ask_a_pod(run: Run, _: Any) -> dict[str, Any]:
    """Stage the request as for a pod; the pod's arguments, with the folders of this machine for those of its mounts."""
    from irt.pods.calibration import PodCalibration

    root = {"claim": "bench", "root": run.staging.removeprefix("file://")}
    os.environ["AIRFLOW_VAR_IRT_PODS"] = json.dumps({"image": "irt-engine:bench", "volume": root})
    digest, began, sent, pod = PodCalibration(
        run, CalibrateOperator(task_id="bench", run=run.to_dict()), kubernetes_conn_id="", resume="resume_pod"
    ).prepared()
    folder = run.staged_folder().path
    told = [each.replace("/in/", f"{folder}/").replace("/out/", f"{folder}/pod/") for each in pod.arguments]
    return {"arguments": told, "digest": digest, "began": began, "sent": sent}


def _read_from_a_pod(run: Run, asked: dict[str, Any]) -> dict[str, Any]:
    from irt.pods.calibration import PodCalibration

    task = CalibrateOperator(task_id="bench", run=run.to_dict())
    calibration = PodCalibration(run, task, kubernetes_conn_id="", resume="resume_pod")
    return calibration.staged(asked["digest"], asked["began"], asked["sent"])


def _stage_result(run: Run, size: dict[str, int]) -> None:
    """Stage a result of this size, as the task `calibrate` would have, and register its run."""
    from irt.timer import Timer

    rng = np.random.default_rng(size["seed"])
    items, users = size["items"], size["abilities"]
    names = [f"{n:032x}" for n in np.random.default_rng(1).integers(2**62, size=users)]
    user_ids = [f"{h[24:]}-{h[20:24]}-{h[16:20]}-{h[12:16]}-{h[:12]}" for h in names]
    columns = {"item_id": [str(n) for n in range(1, items + 1)], "model": ["2PL"] * items, "n_responses": [50] * items}
    columns |= {name: rng.random(items) for name in ("a", "b", "se_a", "se_b", "p_correct")}
    abilities = {"user_id": sorted(user_ids), "theta": rng.normal(size=users), "se": rng.random(users)}
    abilities["n_responses"] = [50] * users
    tables = []
    for schema, given, rows in ((ITEM_SCHEMA, columns, items), (ABILITY_SCHEMA, abilities, users)):
        arrays = [given.get(field.name, pa.nulls(rows, field.type)) for field in schema]
        tables.append(pa.table(arrays, schema=schema))
    fit = {"model_spec": {}, "metrics": {}, "excluded": {}, "n_items": items, "n_abilities": users}
    write_result(run, CalibrationResult(*tables, fit), seconds=None)
    run.staged(ANCHORS).write_text("[]")
    extraction = ExtractResponsesOperator(task_id="bench", run=run.to_dict())
    extraction._register(run, {}, "running", Timer())


def _import_all(run: Run, _: Any) -> None:
    """Import everything once, so that it is compiled before any clock starts."""
    import psycopg  # noqa: F401


STEPS: dict[str, Callable[[Run, Any], Any]] = {
    "extract_responses": _operator(ExtractResponsesOperator),
    "extract_anchors": _operator(ExtractAnchorsOperator),
    "calibrate: send, wait": _send_and_wait,
    "calibrate: read": _resume,
    "calibrate: ask a pod": _ask_a_pod,
    "calibrate: read from a pod": _read_from_a_pod,
    "load": _operator(LoadOperator),
    "check": _operator(CheckRunOperator, checks=list(SEVERITY)),
    "publish": _operator(PublishOperator),
    "stage_result": _stage_result,
    "imports": _import_all,
}


if __name__ == "__main__":
    main()
