"""`./irt demo`: runs the nightly calibration once, through all its tasks, in a real Airflow."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from demo import data
from local import report
from local.airflow_api import AirflowApi
from local.home import Home
from local.schema import apply_schema, database_conninfo
from local.stack import DAG_ID, Stack, StackError, running_stack
from local.waiting import wait_until

_SHOWN = frozenset({"success", "failed", "skipped", "upstream_failed", "removed", "up_for_retry"})
_PREFIX = "demo__"


def run(
    home: Home, *, json_file: Path | None = None, service: str = "engine", say: Callable[[str], None] = print
) -> int:
    """Run the demo.

    :param service: which calibration service, of `arguments.SERVICES`.
    :return: the exit code: 0 if the run succeeded.
    :raise StackError: a part does not start, or the database holds real answers.
    """
    began = time.monotonic()
    if json_file and not json_file.absolute().parent.is_dir():
        raise StackError(f"--json {json_file}: there is no folder {json_file.absolute().parent}")
    with running_stack(home, say, service) as stack:
        started = time.monotonic()
        stack.launch_airflow()
        load_data(stack)
        api = stack.wait_for_airflow()
        say(f"Airflow runs ({time.monotonic() - started:.1f} s)\n")
        end_interrupted(api, say)
        run_id = datetime.now(timezone.utc).strftime(f"{_PREFIX}%Y-%m-%dT%H:%M:%S.%f")
        api.pause(DAG_ID, False)
        api.trigger(DAG_ID, run_id)
        say(f"Run {run_id} of {DAG_ID}:")
        state = follow(stack, run_id, say)
        if state != "success":
            show_failures(api, run_id, say)
        with stack.database() as connection:
            summary = report.summary(connection, run_id)
        summary["reports"] = report_files(api, run_id)
    summary |= {"state": state, "seconds": round(time.monotonic() - began, 1)}
    if json_file:
        json_file.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    report.show(summary)
    for file in summary["reports"]:
        say(f"Report: {file}")
    return 0 if state == "success" else 1


def load_data(stack: Stack) -> None:
    """Put the demo's banks into the database.

    :raise StackError: the database holds rows that are not the demo's; it is left unchanged.
    """
    with stack.database() as connection:
        if foreign := data.foreign_rows(connection):
            rows = ", ".join(f"{count} in {table}" for table, count in foreign.items())
            raise StackError(
                f"the database holds rows that are not the demo's ({rows}); the demo does not touch it. "
                "Use ./irt up to run Airflow on this database"
            )
        if stack.external_database:
            apply_schema(database_conninfo(stack.postgres, owner=True))
        loaded = data.load(connection, data.midnight())
    stack.say(f"Demo data loaded: {loaded['exams']} exams, {loaded['questions']} questions")


def end_interrupted(api: AirflowApi, say: Callable[[str], None]) -> None:
    """Fail the run of an interrupted demo; it would resume now, and only one run may be active at a time."""
    for run_id in api.active_runs(DAG_ID):
        if run_id.startswith(_PREFIX):
            say(f"Run {run_id} was interrupted; marking it as failed")
            api.fail(DAG_ID, run_id)
        else:
            say(f"Run {run_id} was interrupted and continues first")


def follow(stack: Stack, run_id: str, say: Callable[[str], None], dag_id: str = DAG_ID) -> str:
    """Print each task when it ends or is up for retry, until the run has ended.

    :return: the state of the run.
    :raise StackError: a part has exited.
    :raise StandstillError: no task changes its state and nothing is working any more.
    """
    shown: set[tuple[str, int, int]] = set()
    states: list[tuple] = []

    def ended() -> str | None:
        # Ask for the state first: the list of tasks then holds every task that ended before the run did.
        state = stack.api.run_state(dag_id, run_id)
        tasks = sorted(stack.api.tasks(dag_id, run_id), key=lambda t: t["end_date"] or "")
        for task in tasks:
            key = (task["task_id"], task["map_index"], task["try_number"])
            if task["state"] in _SHOWN and key not in shown:
                shown.add(key)
                say(_task_line(task))
        states[:] = [(task["task_id"], task["map_index"], task["try_number"], task["state"]) for task in tasks]
        return state if state in {"success", "failed"} else None

    def at_work() -> str:
        busy = Counter(f"{task} {state}" for task, _, _, state in states if state and state not in _SHOWN)
        return f"the run ({', '.join(busy) or 'nothing at work'}); its log: {stack.log_of('scheduler')}"

    return wait_until(
        ended, what=at_work, work=lambda: (tuple(states), stack.work()), check=stack.check, say=say, pause=0.5
    )  # fmt: skip


def show_failures(api: AirflowApi, run_id: str, say: Callable[[str], None]) -> None:
    """Print the last log lines of every failed task."""
    for task in api.tasks(DAG_ID, run_id):
        if task["state"] == "failed":
            say(f"\nThe last lines of {task['task_id']} ({task['rendered_map_index'] or task['map_index']}):")
            for line in api.log(DAG_ID, run_id, task)[-12:]:
                say(f"  {line}")


def report_files(api: AirflowApi, run_id: str) -> list[str]:
    """The banks' reports, as addresses that a browser opens."""
    written = [task for task in api.tasks(DAG_ID, run_id) if task["task_id"] == "bank.report"]
    return [api.returned(DAG_ID, run_id, task) for task in written if task["state"] == "success"]


def _task_line(task: dict) -> str:
    bank = task["rendered_map_index"] or ""
    name = task["task_id"].removeprefix("bank.")
    ended = (task["end_date"] or "")[11:19]
    seconds = f"{task['duration']:5.1f} s" if task["duration"] is not None else "       "
    return f"  {ended:8}  {bank:10} {name:18} {task['state']:16} {seconds}"
