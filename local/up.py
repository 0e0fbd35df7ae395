"""`./irt up`: runs Airflow with its UI, the database and the service until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable

from local.home import Home
from local.schema import use_plugins
from local.stack import DAG_ID, running_stack


def run(home: Home, *, port: int | None = None, service: str = "engine", say: Callable[[str], None] = print) -> int:
    """Run until interrupted.

    :raise StackError: a part does not start, or exits.
    """
    with running_stack(home, say, service) as stack:
        api = stack.start_airflow(port, scheduled=True)
        # Print this first: the scheduler resumes them as soon as the DAG is on.
        for run_id in api.active_runs(DAG_ID, queued_before=stack.launched_at):
            say(f"Run {run_id} was interrupted and resumes now; mark it as failed in the UI to end it")
        api.pause(DAG_ID, False)
        say("Airflow runs\n")
        say(f"  {api.address}")
        say("  login     admin")
        say(f"  password  {home.secrets()['admin_password']}\n")
        say(f"The DAG {DAG_ID} is on: it runs on its schedule ({_schedule()}, UTC), or when you press Trigger.")
        say("Ctrl-C stops everything.")
        while True:
            stack.check()
            time.sleep(1)


def _schedule() -> str:
    use_plugins()
    from irt.schedule import NIGHTLY

    return NIGHTLY
