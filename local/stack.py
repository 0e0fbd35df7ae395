"""Everything that runs on one machine: PostgreSQL, the calibration service, Airflow."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import requests

from local import r_service
from local.airflow_api import AirflowApi
from local.home import DATABASE_CONNECTION, SERVICE_CONNECTION, Home, airflow_settings
from local.postgres import DATABASE, METADATA, EmbeddedPostgres
from local.processes import Command, Supervisor, wait_until
from local.schema import database_conninfo, missing_migrations, prepare_embedded

DAG_ID = "irt_calibration_nightly"
# The calibration services that run here: the Python engine's, and that in R.
SERVICES = ("engine", "r")
_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


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

    # Starting the parts, in the order of their needs.

    def start_postgres(self) -> None:
        start_postgres(self.supervisor, self.postgres)
        if not self.external_database:
            prepare_embedded(self.postgres)
        elif missing := missing_migrations(self.conninfo()):
            # Said now, and not by the first task of a run.
            self.say(f"The database lacks {', '.join(missing)}: run ./irt migrate")

    def start_service(self, kind: str = "engine") -> None:
        """The calibration service on loopback, unless the connection `r_irt` names another.

        :param kind: one of `SERVICES`.
        """
        if os.environ.get(SERVICE_CONNECTION):
            return
        port_file = self.home.service / "port"
        port_file.unlink(missing_ok=True)
        start = r_service.command if kind == "r" else engine_service
        token, state = self.home.secrets()["service_token"], self.home.service / f"{kind}-jobs"
        self.supervisor.start(start(self.home, host="127.0.0.1", port=0, state=state, port_file=port_file, token=token))
        wait_until(port_file.exists, seconds=60, what="the calibration service", check=self.check)
        self.service_address = f"http://127.0.0.1:{port_file.read_text().strip()}"
        wait_until(self._service_answers, seconds=60, what="the calibration service", check=self.check)

    def _service_answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.service_address}/healthz", timeout=5, proxies=_NO_PROXY).ok
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
        """All of Airflow; returns when it has parsed the DAG."""
        self.port = port or free_port()
        env = self.airflow_env(scheduled)
        self.migrate_airflow(env)
        for component in _COMPONENTS:
            self.start_component(component, env)
        api = AirflowApi(f"http://127.0.0.1:{self.port}", self.home.secrets()["admin_password"])
        wait_until(api.healthy, seconds=120, what="Airflow", check=self.check)
        api.log_in()
        wait_until(lambda: self._parsed(api), seconds=120, what=f"the DAG {DAG_ID}", check=self.check)
        return api

    def start_component(self, component: str, env: dict[str, str]) -> None:
        arguments = [str(Path(sys.executable).with_name("airflow")), component]
        self.supervisor.start(Command(component, arguments, env=env))

    def migrate_airflow(self, env: dict[str, str]) -> None:
        """Airflow's own tables; skipped where this version's are there (it takes ten seconds)."""
        import importlib.metadata

        version = importlib.metadata.version("apache-airflow")
        done = self.home.airflow / "migrated"
        if done.exists() and done.read_text() == version:
            return
        arguments = [str(Path(sys.executable).with_name("airflow")), "db", "migrate"]
        child = self.supervisor.start(Command("airflow-migrate", arguments, env=env))
        if child.wait():
            raise StackError(f"Airflow's database could not be made:\n{self.supervisor.tail('airflow-migrate')}")
        del self.supervisor.children["airflow-migrate"]
        done.write_text(version)

    def _parsed(self, api: AirflowApi) -> bool:
        if errors := api.import_errors():
            raise StackError("the DAG cannot be imported:\n" + "\n".join(errors))
        return api.has_dag(DAG_ID)

    def check(self) -> None:
        """:raise StackError: when a part has ended, with the last lines of its log."""
        name = self.supervisor.fallen()
        if name:
            raise StackError(f"{name} ended unexpectedly; its last lines:\n{self.supervisor.tail(name)}")


_NO_PROXY = {"http": "", "https": ""}


def start_postgres(supervisor: Supervisor, postgres: EmbeddedPostgres) -> None:
    """The embedded cluster with the two databases: the project's and Airflow's metadata."""
    if postgres.running:
        raise StackError("this installation's PostgreSQL runs already; is another ./irt up or demo running?")
    postgres.prepare()
    supervisor.start(postgres.command())
    try:
        postgres.wait(lambda: supervisor.alive("postgres"))
    except RuntimeError as error:
        raise StackError(f"{error}; its last lines:\n{supervisor.tail('postgres')}") from error
    postgres.create_databases(DATABASE, METADATA)


def engine_service(home: Home, *, host: str, port: int, state: Path, port_file: Path, token: str) -> Command:
    """How the engine's service is started; the token is in the environment alone."""
    arguments = [sys.executable, "-m", "irt_engine.cli", "serve", "--host", host, "--port", str(port)]
    arguments += ["--port-file", str(port_file), "--state-dir", str(state)]
    return Command("service", arguments, env=engine_env(home) | {"IRT_ENGINE_TOKEN": token})


def engine_env(home: Home) -> dict[str, str]:
    """Where the engine keeps its compiled kernels."""
    return {"NUMBA_CACHE_DIR": str(home.kernel_cache)}


def free_port(preferred: int = 8080) -> int:
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
    """:raise StackError: when another process runs on this state folder."""
    with (home.path / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise StackError(f"another ./irt ({lock.read().strip()}) is running here; end it first") from None
        lock.truncate(0)
        lock.write(f"{' '.join(sys.argv[1:])}, process {os.getpid()}")
        lock.flush()
        yield


@contextmanager
def running_stack(home: Home, say: Callable[[str], None] = print, service: str = "engine") -> Iterator[Stack]:
    """PostgreSQL and the calibration service; Airflow is started by the caller. All ends with the block.

    :param service: which one, of `SERVICES`.
    """
    home.make()
    if service == "r":
        r_service.install(home, say=say)
    with only_one(home):
        for log in home.logs.glob("*.log"):
            log.unlink()
        with Supervisor(home.logs) as supervisor:
            stack = Stack(home, supervisor, say)
            began = time.monotonic()
            stack.start_postgres()
            say(f"PostgreSQL runs ({time.monotonic() - began:.1f} s)")
            began = time.monotonic()
            stack.start_service(service)
            say(f"The calibration service runs ({time.monotonic() - began:.1f} s)")
            yield stack
