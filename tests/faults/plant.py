"""Everything that a night needs, as real processes that can be killed and started again."""

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

# Settings of Airflow and the DAG: it looks for dead processes often. Not by time-outs, which would take live processes
# for dead on a slow machine: tests make the heartbeats of what they killed old (`Stack.bury`).
SETTINGS = {
    "IRT_RETRY_DELAY": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
}


class ProjectDatabase:
    """A separate PostgreSQL, because Airflow's metadata must stay available when this one is stopped."""

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

    :param disk: holds the staged objects; None if they are on an ordinary disk.
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
        """Restarts it with its workers, as if its pod was replaced.

        Killed alone, it would leave its locks in Airflow's database: LocalExecutor's workers are forked from it, and
        keep its connection open as long as they live.
        """
        self._kill("scheduler")
        self.stack.bury("SchedulerJob")
        self.stack.bury_tasks()
        self.stack.start_component("scheduler", self.stack.airflow_env())

    def end_what_is_left(self) -> None:
        """After a failed test, so that the next one meets only its own faults."""
        self.gate.forget()
        wait_until(self._no_run_at_work, what="the end of all runs", work=self.work)

    def work(self) -> tuple:
        """Changes while anything happens in the plant, apart from what an idle Airflow does."""
        tasks = self.api.call("GET", f"dags/{DAG_ID}/dagRuns/~/taskInstances", params={"limit": 1000})
        states = tuple((task["id"], task["state"], task["try_number"]) for task in tasks["task_instances"])
        return self.stack.work(), states, self.gate.open_requests

    def _no_run_at_work(self) -> bool:
        active = self.api.active_runs(DAG_ID)
        for run_id in active:
            # The scheduler may hold the same rows right now.
            with suppress(requests.HTTPError):
                self.api.fail(DAG_ID, run_id)
        return not active

    def waiting_sessions(self) -> int:
        """How many of the DAG's sessions are waiting for a lock."""
        query = f"select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = '{LOGIN}'"
        with self.database.connect() as connection:
            return connection.execute(query).fetchone()[0]

    @property
    def service(self) -> psutil.Process:
        return psutil.Process(self.stack.supervisor.children["service"][1].pid)

    def calibrations(self) -> list[psutil.Process]:
        """The processes in which the service calibrates, forked by its child, the fork server."""
        return [worker for fork_server in self.service.children() for worker in fork_server.children()]

    def jobs(self, run_key: str) -> list[dict]:
        """The records of the service's jobs for a run; their keys begin with the run's."""
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
    """:param environment: gets the settings, and undoes them."""
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
    """Use the tests' cache of the engine's kernels, so that they need not be compiled again."""
    if cache := os.environ.get("NUMBA_CACHE_DIR"):
        home.kernel_cache.rmdir()
        home.kernel_cache.symlink_to(cache, target_is_directory=True)
