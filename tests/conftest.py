"""What tests share: an Airflow home of their own, and databases of a real PostgreSQL."""

from __future__ import annotations

import json
import os
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
        # The DAG files do not change. Parsed anew every half minute, they are a third of a core for every Airflow.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    }
)
for name in ("AIRFLOW_CONN_SEEDTEST_DB", "AIRFLOW_CONN_R_IRT"):
    os.environ.pop(name, None)

import psycopg

from local.home import Home
from local.postgres import EmbeddedPostgres
from local.processes import Supervisor
from local.schema import apply_schema


@pytest.fixture(scope="session")
def supervisor(tmp_path_factory):
    with Supervisor(tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, supervisor) -> EmbeddedPostgres:
    """A PostgreSQL server of its own, with an empty database `template_irt` that has the schema."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.prepare()
    supervisor.start(server.command())
    server.wait()
    server.create_databases("template_irt")
    apply_schema(server.conninfo("template_irt"))
    server.create_login(member_of="irt_pipeline")
    return server


@pytest.fixture
def database(postgres, monkeypatch) -> psycopg.Connection:
    """A fresh project database behind the Airflow connection `seedtest_db`; yields its owner's psycopg connection."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as server:
        server.execute(f"create database {name} template template_irt")
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(postgres.airflow_connection() | {"schema": name}))
    with psycopg.connect(postgres.conninfo(name), autocommit=True) as connection:
        yield connection


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "irt").make()
