"""Everything that runs on one machine: PostgreSQL, the calibration service, Airflow."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg
import requests

from local import cluster, r_service
from local.airflow_api import AirflowApi
from local.home import DATABASE_CONNECTION, SERVICE_CONNECTION, Home, airflow_settings, engine_env
from local.postgres import METADATA, EmbeddedPostgres
from local.processes import Command, Supervisor, processor_seconds
from local.schema import SQL, database_conninfo, missing_migrations
from local.waiting import wait_until

DAG_ID = "irt_calibration_nightly"
# Airflow's parts in the order they start, each with its job type in Airflow's database (the API server has none).
_COMPONENTS = {
    "api-server": "",
    "scheduler": "SchedulerJob",
    "dag-processor": "DagProcessorJob",
    "triggerer": "TriggererJob",
}
# Number of earlier starts whose logs are kept.
_KEPT_LOGS = 3


class StackError(RuntimeError):
    """The stack cannot run; the message says why and what to do."""


class Stack:
    """The running parts, their addresses and their logs. Made by `running_stack`."""

    def __init__(self, home: Home, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self.home = home
        self.supervisor = supervisor
        self.say = say
        self.postgres = EmbeddedPostgres(home.postgres)
        self.port = 0
        self.service_address = ""
        self._service_part: str | None = None

    # The project database: the one of the Airflow connection, or the embedded one.

    @property
    def external_database(self) -> bool:
        return bool(os.environ.get(DATABASE_CONNECTION))

    def conninfo(self) -> str:
        return database_conninfo(self.postgres)

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            yield connection

    # Starting the parts: PostgreSQL first, beside it the calibration service, then all of Airflow.

    def start_postgres(self) -> None:
        start_postgres(self.supervisor, self.postgres, self.say)
        cluster.bring_up_to_date(self.supervisor, self.postgres, self.home, self.say)
        if self.external_database and (missing := missing_migrations(self.conninfo())):
            # Report it now rather than in a run's first task.
            self.say(f"The database lacks {', '.join(missing)}: run ./irt migrate")

    def launch_service(self, kind: str = "engine") -> None:
        """Start the calibration service on loopback, unless the connection `r_irt` names another one.

        :param kind: one of `arguments.SERVICES`.
        """
        if os.environ.get(SERVICE_CONNECTION):
            return
        port_file = self._port_file
        port_file.unlink(missing_ok=True)
        start = r_service.command if kind == "r" else engine_service
        token, state = self.home.secrets()["service_token"], self.home.service / f"{kind}-jobs"
        command = start(self.home, host="127.0.0.1", port=0, state=state, port_file=port_file, token=token)
        self.supervisor.start(command)
        self._service_part = command.name

    def wait_for_service(self) -> None:
        if self._service_part is None:
            return
        part = [self._service_part]
        self._wait(self._port_file.exists, lambda: "the calibration service", part)
        self.service_address = f"http://127.0.0.1:{self._port_file.read_text().strip()}"
        self._wait(self._service_answers, lambda: "an answer of the calibration service", part)

    def start_service(self, kind: str = "engine") -> None:
        self.launch_service(kind)
        self.wait_for_service()

    @property
    def _port_file(self) -> Path:
        return self.home.service / "port"

    def _service_answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.service_address}/healthz", timeout=60, proxies=_NO_PROXY).ok
        return False

    def airflow_env(self, scheduled: bool = False) -> dict[str, str]:
        """The environment of Airflow's components: configuration, connections, staging."""
        uri = self.postgres.sqlalchemy_uri(METADATA)
        settings = airflow_settings(self.home, metadata_uri=uri, port=self.port, scheduled=scheduled)
        env = engine_env(self.home) | settings
        if not self.external_database:
            env[DATABASE_CONNECTION] = json.dumps(self.postgres.airflow_connection())
        if self.service_address:
            host, port = self.service_address.removeprefix("http://").split(":")
            token = self.home.secrets()["service_token"]
            env[SERVICE_CONNECTION] = json.dumps(
                {"conn_type": "http", "host": host, "port": int(port), "schema": "http", "password": token}
            )
        return env

    def start_airflow(self, port: int | None = None, *, scheduled: bool = False) -> AirflowApi:
        """Start all of Airflow; returns once the DAG is parsed."""
        self.launch_airflow(port, scheduled=scheduled)
        return self.wait_for_airflow()

    def launch_airflow(self, port: int | None = None, *, scheduled: bool = False) -> None:
        """Start as many of Airflow's parts as there are cores: each needs one for seconds, the API server longest."""
        # Only we use this installation: what is still marked as running was killed with an earlier start.
        self.bury(*filter(None, _COMPONENTS.values()))
        self.bury_tasks()
        # A person expects the UI at its usual port; the demo takes a free one, so that two stacks do not collide.
        self.port = port or free_port(8080 if scheduled else 0)
        self.api = AirflowApi(f"http://127.0.0.1:{self.port}", self.home.secrets()["admin_password"])
        self._env = self.airflow_env(scheduled)
        self.launched_at = datetime.now(timezone.utc)
        self._launch_more()

    def _launch_more(self) -> list[str]:
        """Start what there is room for; returns the parts that are not up."""
        missing = self._not_up()
        waiting = [part for part in missing if part not in self.supervisor.children]
        room = _cores() - (len(missing) - len(waiting))
        for component in waiting[: max(room, 0)]:
            self.start_component(component, self._env)
        return missing

    def _not_up(self) -> list[str]:
        with psycopg.connect(self.postgres.conninfo(METADATA), autocommit=True) as connection:
            jobs = {row[0] for row in connection.execute((SQL / "local" / "parts_up.sql").read_text())}
        up = {part for part, job in _COMPONENTS.items() if job in jobs}
        if "api-server" in self.supervisor.children and self.api.answers():
            up.add("api-server")
        return [part for part in _COMPONENTS if part not in up]

    def start_component(self, component: str, env: dict[str, str]) -> None:
        own = [sys.executable, "-m", "local.scheduler"]
        arguments = own if component == "scheduler" else [str(Path(sys.executable).with_name("airflow")), component]
        if component == "api-server":
            # It has no state to lose, and a clean shutdown would take seconds.
            command = Command(component, arguments, env=env, needed=1, stop_signal="SIGKILL")
        else:
            command = Command(component, arguments, env=env)
        self.supervisor.start(command)

    def wait_for_airflow(self) -> AirflowApi:
        starting: list[str] = []

        def ready() -> bool:
            missing = self._launch_more()
            starting[:] = [part for part in missing if part in self.supervisor.children]
            return not missing

        self._wait(ready, lambda: f"Airflow's {', '.join(starting)}", starting)
        self.api.log_in()
        self._wait(self._parsed, lambda: f"the DAG {DAG_ID}", ["dag-processor"])
        return self.api

    def bury(self, *job_types: str) -> None:
        """Mark these parts of Airflow as dead; otherwise it waits until their heartbeats are long overdue."""
        self._tell_airflow("end_jobs", {"job_types": list(job_types)})

    def bury_tasks(self, *task_instances: str) -> None:
        """Mark the processes of these tasks as dead, by default of all running tasks."""
        self._tell_airflow("age_heartbeats", {"task_instances": list(task_instances) or None})

    def _tell_airflow(self, statement: str, parameters: dict[str, Any]) -> None:
        with psycopg.connect(self.postgres.conninfo(METADATA), autocommit=True) as connection:
            connection.execute((SQL / "local" / f"{statement}.sql").read_text(), parameters)

    def _wait(self, ready: Callable[[], Any], what: Callable[[], str], parts: list[str]) -> None:
        """Wait for parts to start, as long as they make progress; `parts` may shrink meanwhile."""

        def described() -> str:
            return f"{what()}; its log: {', '.join(map(self.log_of, parts))}"

        wait_until(
            ready, what=described, work=lambda: (*parts, *self.supervisor.work(*parts)), check=self.check, say=self.say
        )  # fmt: skip

    def log_of(self, part: str) -> str:
        """The path of a part's log, relative to the current folder where possible."""
        log = self.supervisor.log_of(part)
        return str(log.relative_to(Path.cwd()) if log.is_relative_to(Path.cwd()) else log)

    def work(self) -> tuple[int, int]:
        """Signs of work of tasks and calibrations: their processor seconds, without those of an idle Airflow."""
        parts = [self._service_part] if self._service_part else []
        tasks = self.supervisor.process("scheduler").children() if "scheduler" in self.supervisor.children else []
        return self.supervisor.work(*parts)[0], processor_seconds(tasks)

    def _parsed(self) -> bool:
        if errors := self.api.import_errors():
            raise StackError("the DAG cannot be imported:\n" + "\n".join(errors))
        parsed_at = self.api.parsed_at(DAG_ID)
        return parsed_at is not None and parsed_at > self.launched_at

    def check(self) -> None:
        """:raise StackError: a part has exited; the message has the last lines of its log."""
        name = self.supervisor.fallen()
        if name:
            raise StackError(
                f"{name} ended unexpectedly; the last lines of {self.log_of(name)}:\n{self.supervisor.tail(name)}"
            )


_NO_PROXY = {"http": "", "https": ""}


def start_postgres(supervisor: Supervisor, postgres: EmbeddedPostgres, say: Callable[[str], None]) -> None:
    """Start the embedded cluster with its two databases: the project's and Airflow's metadata."""
    if postgres.running:
        raise StackError("this installation's PostgreSQL is already running; is another ./irt up or demo running?")
    cluster.prepare(postgres, say)
    cluster.start(supervisor, postgres, say)


def engine_service(home: Home, *, host: str, port: int, state: Path, port_file: Path, token: str) -> Command:
    """The command that starts the engine's service; the token is only in its environment."""
    arguments = [sys.executable, "-m", "irt_engine.cli", "serve", "--host", host, "--port", str(port)]
    arguments += ["--port-file", str(port_file), "--state-dir", str(state)]
    return Command("service", arguments, env=engine_env(home) | {"IRT_ENGINE_TOKEN": token})


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_port(preferred: int = 0) -> int:
    """The preferred port, or any free one, on loopback."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
    raise StackError("no free port on 127.0.0.1")


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """:raise StackError: another process is using this state folder."""
    with (home.path / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise StackError(f"another ./irt ({lock.read().strip()}) is running here; stop it first") from None
        lock.truncate(0)
        lock.write(f"{' '.join(sys.argv[1:])}, process {os.getpid()}")
        lock.flush()
        yield


@contextmanager
def running_stack(home: Home, say: Callable[[str], None] = print, service: str = "engine") -> Iterator[Stack]:
    """Run PostgreSQL and the calibration service for the block; the caller starts Airflow, which ends with it too.

    :param service: which one, of `arguments.SERVICES`.
    """
    home.make()
    if service == "r":
        r_service.install(home, say=say)
    with only_one(home):
        keep_logs(home.logs)
        with Supervisor(home.logs) as supervisor:
            stack = Stack(home, supervisor, say)
            began = time.monotonic()
            stack.launch_service(service)
            stack.start_postgres()
            stack.wait_for_service()
            say(f"PostgreSQL and the calibration service run ({time.monotonic() - began:.1f} s)")
            yield stack


def keep_logs(logs: Path) -> None:
    """Make room for the logs of a new start; keep those of the last ones, the newest in `before-1`."""
    shutil.rmtree(logs / f"before-{_KEPT_LOGS}", ignore_errors=True)
    for age in range(_KEPT_LOGS - 1, 0, -1):
        if (older := logs / f"before-{age}").exists():
            older.rename(logs / f"before-{age + 1}")
    if found := list(logs.glob("*.log")):
        (logs / "before-1").mkdir()
        for log in found:
            log.rename(logs / "before-1" / log.name)
