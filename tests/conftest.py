"""What tests share: a separate Airflow home, and databases of a real PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="irt-airflow-")

# Set before anything imports Airflow, which reads them once.
os.environ.update(
    {
        "AIRFLOW_HOME": _AIRFLOW_HOME.name,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parents[1] / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).parents[1] / "plugins"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DO_NOT_TRACK": "1",
        # Enough for the slowest machine, even under other load.
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "1200",
    }
)
for name in ("AIRFLOW_CONN_SEEDTEST_DB", "AIRFLOW_CONN_R_IRT"):
    os.environ.pop(name, None)

import psycopg

from local import cluster
from local.home import Home, alone
from local.postgres import DATABASE, EmbeddedPostgres
from local.processes import Supervisor
from tests import outcomes as faults

_ROOT = Path(__file__).parents[1]
# Folders whose tests run one after the other, because they share an Airflow or a Kubernetes. They take longest, so they
# come first.
_FOLDERS = {"tests/e2e": "airflow", "tests/faults": "airflow", "tests/pods": "pods"}
_FOLDER, _FAILED = pytest.StashKey[Path](), pytest.StashKey[bool]()
_TURN = pytest.StashKey["AirflowTurn"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="every fault in every task, besides what CI runs")
    parser.addoption("--screenshots", metavar="DIR", help="keep pictures of the page's views there")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A separate folder for everything that the tests of this run write.

    pytest's own is below a folder that each other run of this user makes private. As root, PostgreSQL runs as another
    user, so a second run on the machine would lock the first one's PostgreSQL out of its databases.
    """
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="irt-tests-")
        os.chmod(folder, 0o755)
        config.option.basetemp = f"{folder}/run"
        config.stash[_FOLDER] = Path(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Keeps what a failed run wrote, for inspection."""
    if (folder := config.stash.get(_FOLDER, None)) and not config.stash.get(_FAILED, False):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> None:
    faults.add_marked(item, call)


@pytest.fixture
def outcomes(request) -> faults.Outcomes:
    return faults.Outcomes(request.node)


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
    ]
    if table := list(faults.lines(reports)):
        terminalreporter.section("faults and their outcomes")
        for line in table:
            terminalreporter.write_line(line)
    config.stash[_FAILED] = exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if _FOLDER in config.stash and config.stash[_FAILED]:
        terminalreporter.write_line(f"what the tests wrote is kept in {config.stash[_FOLDER]}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest tests first; and those that start their own Airflow before those that share one."""

    def place(item: pytest.Item) -> tuple[bool, bool, bool]:
        group = _group(item.nodeid)
        shares_airflow = "stack" in getattr(item, "fixturenames", ())
        return group not in _FOLDERS.values(), not group.endswith("conformance.py"), shares_airflow

    items.sort(key=place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """When tests run in parallel, each file stays together, and so do the large folders."""
    config.option.loadscopereorder = False
    return _ByGroup(config, log)


class _ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return next((group for folder, group in _FOLDERS.items() if file.startswith(f"{folder}/")), file)


class AirflowTurn:
    """One Airflow at a time for all tests of this checkout: two are too much for two cores."""

    def __init__(self) -> None:
        self._open: ExitStack | None = None

    def take(self) -> ExitStack:
        """For everything that must end with an Airflow; it ends with the folder's last test."""
        self.end()
        self._open = ExitStack()
        self._open.enter_context(alone("airflow-of-tests"))
        return self._open

    def end(self) -> None:
        if self._open:
            self._open.close()
        self._open = None


@pytest.fixture(scope="session")
def airflow_turn(pytestconfig) -> AirflowTurn:
    return pytestconfig.stash.setdefault(_TURN, AirflowTurn())


@pytest.fixture(scope="module")
def own_airflow(airflow_turn):
    """For tests that start an Airflow themselves."""
    airflow_turn.take()
    yield
    airflow_turn.end()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    # A fixture of the folder would last too long, because tests of other folders may come in between.
    if _TURN in item.config.stash and (nextitem is None or nextitem.path.parent != item.path.parent):
        item.config.stash[_TURN].end()


@pytest.fixture(scope="session")
def supervisor(tmp_path_factory):
    with Supervisor(tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, supervisor) -> EmbeddedPostgres:
    """A PostgreSQL server whose project database has the schema and no rows."""
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
