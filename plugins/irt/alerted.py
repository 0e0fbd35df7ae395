"""Records which failed tasks were reported, so that the alert at the end of the run covers only the others.

Airflow 3.3 calls a task's failure callback in the task's process or, if the scheduler finds that the process is gone,
in the DAG processor. If the process was killed but its supervisor lives on (out of memory, say), it calls none. The
first case leaves an XCom, which the next try clears. The DAG processor cannot write an XCom, so the second case leaves
a variable, which is removed at the end of the run.
"""

from __future__ import annotations

import hashlib
from typing import Any

from airflow.sdk import Variable

_XCOM = "alerted"


def mark_alerted(context: Any) -> None:
    """Record that this failure was reported."""
    task = context["ti"]
    # Airflow puts the exception into the context only in the task's own process.
    if "exception" in context:
        task.xcom_push(key=_XCOM, value=True)
    else:
        name = _variable(task.dag_id, task.run_id, task.task_id, -1 if task.map_index is None else task.map_index)
        Variable.set(name, task.run_id, description="A failed task was reported; removed when the run ends.")


def failed_and_not_alerted(dag: Any, run_id: str) -> list[tuple[str, int]]:
    """The failed tasks of a run that were not reported, by name and map index (-1: not mapped).

    Called in the DAG processor, once for each run that failed.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(dag.dag_id, run_ids=[run_id]).get(run_id, {})
    failed = [_split(name, dag) for name, state in sorted(states.items()) if state == "failed"]
    return [task for task in failed if not _was_alerted(dag.dag_id, run_id, *task)]


def _was_alerted(dag_id: str, run_id: str, task_id: str, map_index: int) -> bool:
    from airflow.sdk.execution_time.xcom import XCom

    name = _variable(dag_id, run_id, task_id, map_index)
    if Variable.get(name, default=None) is not None:
        Variable.delete(name)
        return True
    return bool(XCom.get_one(key=_XCOM, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index))


def _split(name: str, dag: Any) -> tuple[str, int]:
    """Airflow writes a mapped task as `<task>_<index>`."""
    if name in dag.task_ids:
        return name, -1
    task_id, _, index = name.rpartition("_")
    return task_id, int(index)


def _variable(*task: Any) -> str:
    # Hashed, because the names may be arbitrarily long.
    return f"irt_alerted_{hashlib.sha256(repr(task).encode()).hexdigest()[:24]}"
