"""What tests share: an Airflow home of their own, and databases of a real PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

_AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="irt-airflow-")

# Before anything imports Airflow, which reads them once.
os.environ.update(
    {
        "AIRFLOW_HOME": _AIRFLOW_HOME.name,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parents[1] / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).parents[1] / "plugins"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DO_NOT_TRACK": "1",
        # For the slowest machine, and one that does something else beside it.
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "1200",
    }
)
for name in ("AIRFLOW_CONN_SEEDTEST_DB", "AIRFLOW_CONN_R_IRT"):
    os.environ.pop(name, None)

import psycopg

from local import cluster
from local.home import Home
from local.postgres import DATABASE, EmbeddedPostgres
from local.processes import Supervisor

_ROOT = Path(__file__).parents[1]
# Whatever starts an Airflow, which is more than two cores carry twice.
_WITH_AIRFLOW = ("tests/e2e", "tests/faults", "tests/pods")
_FOLDER, _FAILED = pytest.StashKey[Path](), pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="every fault in every task, besides what CI runs")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A folder of this run's own for all that tests write.

    pytest's is below one that every other run of this user closes to everybody else, and as root PostgreSQL is another
    user: a second run on the machine took the first one's databases away.
    """
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="irt-tests-")
        os.chmod(folder, 0o755)
        config.option.basetemp = f"{folder}/run"
        config.stash[_FOLDER] = Path(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """What a failed run wrote is kept, to be looked at."""
    if (folder := config.stash.get(_FOLDER, None)) and not config.stash.get(_FAILED, False):
        shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:
    config.stash[_FAILED] = exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if _FOLDER in config.stash and config.stash[_FAILED]:
        terminalreporter.write_line(f"what the tests wrote is kept in {config.stash[_FOLDER]}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side: a file stays together, and all that start an Airflow run one after the other."""
    items.sort(key=lambda item: not _starts_airflow(item))
    for item in items:
        group = "airflow" if _starts_airflow(item) else str(item.path.relative_to(_ROOT))
        item.add_marker(pytest.mark.xdist_group(group))


def _starts_airflow(item: pytest.Item) -> bool:
    return item.path.relative_to(_ROOT).as_posix().startswith(_WITH_AIRFLOW)


@pytest.fixture(scope="session")
def supervisor(tmp_path_factory):
    with Supervisor(tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, supervisor) -> EmbeddedPostgres:
    """A PostgreSQL server of its own, whose project database has the schema and no row."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    cluster.prepare(server)
    cluster.start(supervisor, server)
    return server


@pytest.fixture
def database(postgres, monkeypatch) -> psycopg.Connection:
    """A fresh project database behind the Airflow connection `seedtest_db`; yields its owner's psycopg connection."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as server:
        server.execute(f"create database {name} template {DATABASE}")
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(postgres.airflow_connection() | {"schema": name}))
    with psycopg.connect(postgres.conninfo(name), autocommit=True) as connection:
        yield connection


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "irt").make()
