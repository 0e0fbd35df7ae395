"""Everything that a night needs, as real processes, each of which can be ended and started again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import barriers
import psutil
import psycopg
import pytest
import requests
from disk import StagingDisk, staging_disk
from gate import Gate, open_gate
from processes import kill_family
from reader import Reader

from demo import data
from local import cluster
from local.home import DATABASE_CONNECTION, Home
from local.postgres import LOGIN, EmbeddedPostgres
from local.processes import Supervisor
from local.stack import DAG_ID, Stack, running_stack
from local.waiting import wait_until

# Airflow's and the DAG's own settings: it looks often for what is dead. No clock says what that is, which on a slow
# machine would take the living for dead: tests bury what they killed (`Stack.bury`), whose heartbeats are old then.
SETTINGS = {
    "IRT_RETRY_DELAY": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
}


class ProjectDatabase:
    """A PostgreSQL of its own: Airflow's metadata must survive when it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.server = EmbeddedPostgres(folder / "postgres")
        cluster.prepare(self.server)
        self.supervisor = Supervisor(folder / "logs")

    def start(self) -> None:
        cluster.start(self.supervisor, self.server)

    def stop(self) -> None:
        """PostgreSQL's fast shutdown: sessions are ended, transactions rolled back."""
        self.supervisor.kill("postgres", signal.SIGINT)

    def fill(self) -> None:
        with self.connect() as connection:
            data.load(connection, data.midnight())
            barriers.install(connection)

    def connect(self) -> psycopg.Connection:
        """As a superuser, who sees every lock."""
        return psycopg.connect(self.server.conninfo(), autocommit=True)


class Plant:
    """Made by `running_plant`.

    :param disk: what is staged lies there; None where it lies on an ordinary disk.
    """

    def __init__(
        self, stack: Stack, database: ProjectDatabase, gate: Gate, reader: Reader, disk: StagingDisk | None
    ) -> None:
        self.stack, self.database, self.gate, self.reader, self.disk = stack, database, gate, reader, disk

    def start(self) -> None:
        self._lead_through_the_gate()
        self.api = self.stack.start_airflow()
        self.api.pause(DAG_ID, False)

    def restart_service(self) -> None:
        self._kill("service")
        self.stack.start_service()
        self._lead_through_the_gate()

    def restart_database(self) -> None:
        self.database.stop()
        self.database.start()

    def restart_triggerer(self) -> None:
        self._kill("triggerer")
        self.stack.bury("TriggererJob")
        self.stack.start_component("triggerer", self.stack.airflow_env())

    def restart_scheduler(self) -> None:
        """With its workers, as in a pod that goes.

        Alone, it would leave its locks in Airflow's database behind: LocalExecutor's workers are forked from it, and
        hold its connection open for as long as they live.
        """
        self._kill("scheduler")
        self.stack.bury("SchedulerJob")
        self.stack.bury_tasks()
        self.stack.start_component("scheduler", self.stack.airflow_env())

    def end_what_is_left(self) -> None:
        """After a test that failed, so that the next one meets just its own faults."""
        self.gate.forget()
        wait_until(self._no_run_at_work, what="the end of all runs", work=self.work)

    def work(self) -> tuple:
        """Changes while anything happens in the plant, but for what an idle Airflow does."""
        tasks = self.api.call("GET", f"dags/{DAG_ID}/dagRuns/~/taskInstances", params={"limit": 1000})
        states = tuple((task["id"], task["state"], task["try_number"]) for task in tasks["task_instances"])
        return self.stack.work(), states, self.gate.open_requests

    def _no_run_at_work(self) -> bool:
        active = self.api.active_runs(DAG_ID)
        for run_id in active:
            # The scheduler may be at the same rows this moment.
            with suppress(requests.HTTPError):
                self.api.fail(DAG_ID, run_id)
        return not active

    def waiting_sessions(self) -> int:
        """How many of the DAG's sessions wait for a lock."""
        query = f"select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = '{LOGIN}'"
        with self.database.connect() as connection:
            return connection.execute(query).fetchone()[0]

    @property
    def service(self) -> psutil.Process:
        return psutil.Process(self.stack.supervisor.children["service"][1].pid)

    def calibrations(self) -> list[psutil.Process]:
        """The processes in which the service calibrates; it has them forked by the one that is its child."""
        return [worker for fork_server in self.service.children() for worker in fork_server.children()]

    def jobs(self, run_key: str) -> list[dict]:
        """The records of the jobs that the service was given for a run; the key of each begins with the run's."""
        records = [json.loads(file.read_text()) for file in self.stack.home.service.glob("*-jobs/jobs/*/job.json")]
        return [job for job in records if job["idempotency_key"].startswith(f"{quote(run_key)}:")]

    def _kill(self, name: str) -> None:
        child = self.stack.supervisor.children[name][1]
        kill_family(psutil.Process(child.pid))
        self.stack.supervisor.kill(name, signal.SIGKILL)

    def _lead_through_the_gate(self) -> None:
        self.gate.target, self.stack.service_address = self.stack.service_address, self.gate.address


@contextmanager
def running_plant(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Plant]:
    """:param environment: takes the settings, and takes them back."""
    database = ProjectDatabase(folder / "project")
    home = Home(folder / "irt").make()
    _share_kernels(home)
    environment.setenv(DATABASE_CONNECTION, json.dumps(database.server.airflow_connection()))
    for name, value in SETTINGS.items():
        environment.setenv(name, value)
    with ExitStack() as open_things:
        disk = open_things.enter_context(staging_disk(home.staging))
        open_things.enter_context(database.supervisor)
        database.start()
        database.fill()
        stack = open_things.enter_context(running_stack(home, say=lambda text: None))
        gate = open_things.enter_context(open_gate())
        reader = open_things.enter_context(Reader(database.connect))
        plant = Plant(stack, database, gate, reader, disk)
        plant.start()
        yield plant
        plant.gate.forget()


def _share_kernels(home: Home) -> None:
    """The engine's kernels need not be compiled again where the tests keep a cache of them."""
    if cache := os.environ.get("NUMBA_CACHE_DIR"):
        home.kernel_cache.rmdir()
        home.kernel_cache.symlink_to(cache, target_is_directory=True)
