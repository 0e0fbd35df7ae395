"""Where one installation keeps its state and its secrets, and the settings that follow from them."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATABASE_CONNECTION = "AIRFLOW_CONN_SEEDTEST_DB"
SERVICE_CONNECTION = "AIRFLOW_CONN_R_IRT"


_A_DAY = 86_400

# Airflow's time-outs, in seconds. Its defaults are for servers: on a busy laptop, healthy parts were declared dead and
# tasks used up their retries.
_SLOWEST_MACHINE = {
    "core.dagbag_import_timeout": 1200,
    "core.task_success_overtime": 1200,
    "api.worker_timeout": 1200,
    "dag_processor.dag_file_processor_timeout": 1200,
    "dag_processor.health_check_threshold": 1200,
    "execution_api.jwt_expiration_time": _A_DAY,
    "scheduler.scheduler_health_check_threshold": 1200,
    "scheduler.task_instance_heartbeat_timeout": 1200,
    "scheduler.task_queued_timeout": _A_DAY,
    "triggerer.runner_health_check_threshold": 1200,
    "triggerer.triggerer_health_check_threshold": 1200,
    "workers.execution_api_timeout": 600,
    "workers.socket_cleanup_timeout": 600,
}


@dataclass(frozen=True)
class Home:
    """One installation's state folder (`.irt/`, or a temporary one in tests)."""

    path: Path

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def airflow(self) -> Path:
        return self.path / "airflow"

    @property
    def service(self) -> Path:
        return self.path / "service"

    @property
    def staging(self) -> Path:
        return self.path / "staging"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def kernel_cache(self) -> Path:
        return self.path / "kernels"

    def make(self) -> Home:
        for folder in (self.path, self.airflow, self.service, self.staging, self.logs, self.kernel_cache):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    def secrets(self) -> dict[str, str]:
        """This installation's random secrets, made on the first call and kept in a file only its owner can read."""
        file = self.path / "secrets.json"
        if not file.exists():
            made = {
                "service_token": secrets.token_urlsafe(32),
                "jwt_secret": secrets.token_urlsafe(48),
                "web_secret": secrets.token_urlsafe(48),
                "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
                "admin_password": secrets.token_urlsafe(9),
            }
            draft = file.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                json.dump(made, out)
            draft.replace(file)
        return json.loads(file.read_text())


def default_home() -> Home:
    return Home(ROOT / ".irt").make()


@contextmanager
def alone(name: str) -> Iterator[None]:
    """A lock for what this checkout makes only once: the first process makes it, the others wait and find it made."""
    with (default_home().path / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def engine_env(home: Home) -> dict[str, str]:
    """Where the engine keeps its compiled kernels."""
    return {"NUMBA_CACHE_DIR": str(home.kernel_cache)}


def airflow_settings(home: Home, *, metadata_uri: str, port: int, scheduled: bool) -> dict[str, str]:
    """Airflow's configuration as environment variables: LocalExecutor for a laptop, no examples, no telemetry.

    :param scheduled: DAGs run on their schedule, and changed files are parsed again. Otherwise DAGs run only when
        triggered (else Airflow would catch up on last night first, as soon as the DAG is on) and are parsed once.
    """
    known = home.secrets()
    address = f"http://127.0.0.1:{port}"
    passwords = home.airflow / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({"admin": known["admin_password"]}))
    config = {
        "core.dags_folder": ROOT / "dags",
        "core.plugins_folder": ROOT / "plugins",
        "core.load_examples": False,
        "core.executor": "LocalExecutor",
        "core.parallelism": 4,
        "core.fernet_key": known["fernet_key"],
        "core.execution_api_server_url": f"{address}/execution/",
        "core.simple_auth_manager_users": "admin:admin",
        "core.simple_auth_manager_passwords_file": passwords,
        "database.sql_alchemy_conn": metadata_uri,
        "usage_data_collection.enabled": False,
        "api.host": "127.0.0.1",
        "api.port": port,
        "api.base_url": address,
        "api.workers": 1,
        "api.secret_key": known["web_secret"],
        "api_auth.jwt_secret": known["jwt_secret"],
        "logging.base_log_folder": home.airflow / "logs",
        "logging.logging_level": "INFO",
        "dag_processor.refresh_interval": 10 if scheduled else _A_DAY,
        "dag_processor.min_file_process_interval": 30 if scheduled else _A_DAY,
        "dag_processor.parsing_processes": 1,
        "scheduler.scheduler_idle_sleep_time": 0.5,
        "scheduler.use_job_schedule": scheduled,
        "triggerer.job_heartbeat_sec": 2,
        # How long a supervisor may take to notice that its task has finished; the default, 5 s, is most of the demo.
        "workers.min_heartbeat_interval": 1,
    }
    config |= _SLOWEST_MACHINE
    env = {f"AIRFLOW__{key.replace('.', '__').upper()}": str(value) for key, value in config.items()}
    return env | {
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW_VAR_IRT_STAGING": home.staging.as_uri(),
        "IRT_LOCK_SECONDS": "600",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
    }
