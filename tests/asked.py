"""Tasks that ask a person."""

from __future__ import annotations

import re

from local.waiting import log_size, wait_until


def asked(stack, dag_id, run_id, task_id):
    """Waits until the task asks a person; returns the API path for the answer."""
    wait_until(
        lambda: any(t["state"] == "awaiting_input" for t in stack.api.tasks(dag_id, run_id)), what=task_id,
        work=stack.work,
    )  # fmt: skip
    # No person answers within a second. If one did, Airflow 3.3.2 would take the late end of the task's first process
    # for the end of the second, retry and ask again.
    heard = re.compile(rf"Received executor event .*task_id='{task_id}', run_id='{run_id}'")
    log = stack.supervisor.log_of("scheduler")
    wait_until(
        lambda: heard.search(log.read_text()), what="the scheduler's knowledge of the task's first part",
        work=lambda: log_size(log), still=60,
    )  # fmt: skip
    return f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
