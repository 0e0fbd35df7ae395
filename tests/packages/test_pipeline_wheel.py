"""Two ways to deploy: the pipeline's wheel with the four DAG files, or the folders of a checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

import irt_engine
from local.home import ROOT
from tests.packages.conftest import clean_environment
from tests.scripted import Answer, scripted_server

DAGS = {"irt_calibration_nightly", "irt_daily_check", "irt_publish_rejected", "irt_publish_rollback"}
# Not in the wheel, because only local/ reads them.
_OF_LOCAL = "sql/local/"
# Parses the folder of DAGs as the scheduler does.
_PARSE = """
import json, sys
from airflow import plugins_manager
from airflow.dag_processing.dagbag import DagBag
plugins_manager.ensure_plugins_loaded() if hasattr(plugins_manager, "ensure_plugins_loaded") else None
bag = DagBag()
import irt, irt.sql
from irt.bank import SEVERITY
print(json.dumps({
    "errors": bag.import_errors, "dags": sorted(bag.dags), "irt": irt.__file__,
    "banks": bag.dags["irt_publish_rollback"].params.get_param("bank").schema["enum"],
    "checks": [irt.sql.statement(f"checks/{name}")[:2] for name in SEVERITY],
    "twice": [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == irt.__file__],
}))
"""
# Gets the connection types, and tests a connection under a random name, as the UI does.
_CONNECT = """
import json, os, sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from airflow.models import Connection
from airflow.providers_manager import ProvidersManager
[form] = [hook for hook in HookMetaService.hook_meta_data() if hook.connection_type == "irt_calibration"]
connection = Connection(conn_id="random", **json.loads(sys.argv[1]))
os.environ["AIRFLOW_CONN_RANDOM"] = connection.get_uri()
provider = ProvidersManager().providers["irt-calibration-airflow"]
print(json.dumps({"form": form.model_dump(), "version": provider.version, "test": connection.test_connection()}))
"""


@pytest.fixture
def airflow_home(tmp_path: Path) -> Path:
    """With the DAG files, but nothing else of the checkout."""
    home = tmp_path / "airflow"
    shutil.copytree(ROOT / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def run(installed: Path | None, home: Path, *command: str, **more: str) -> dict[str, Any]:
    """The JSON that a Python program prints in its last line."""
    variables = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "1200",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    if installed:
        variables["PYTHONPATH"] = str(installed)
    done = subprocess.run(
        [sys.executable, "-c", *command],
        cwd=home,
        env=clean_environment(**variables, **more),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_wheel_holds_every_module_every_statement_and_the_licence(pipeline_wheel):
    with zipfile.ZipFile(pipeline_wheel) as files:
        packed = {name: files.read(name) for name in files.namelist() if ".dist-info/" not in name}
        [licence] = [files.read(name) for name in files.namelist() if name.endswith("/LICENSE")]
    assert licence == (ROOT / "LICENSE").read_bytes()
    plugins, include = ROOT / "plugins", ROOT / "include"
    wanted = {str(file.relative_to(plugins)): file for file in (plugins / "irt").rglob("*.py")}
    page = [file for kind in ("static", "templates") for file in (plugins / "irt" / "page" / kind).rglob("*.*")]
    wanted |= {str(file.relative_to(plugins)): file for file in [plugins / "irt" / "py.typed", *page]}
    data = {file.relative_to(include).as_posix(): file for file in include.rglob("[!.]*.*")}
    wanted |= {f"irt/include/{name}": file for name, file in data.items() if not name.startswith(_OF_LOCAL)}
    assert packed == {name: file.read_bytes() for name, file in wanted.items()}


def test_the_wheel_and_the_dag_files_are_a_deployment(installed, airflow_home):
    found = run(installed, airflow_home, _PARSE)
    assert (found["errors"], set(found["dags"])) == ({}, DAGS)
    assert found["irt"] == str(installed / "irt" / "__init__.py")
    assert found["banks"] == ["lsat7", "math"]
    checks = list((ROOT / "include" / "sql" / "checks").glob("*.sql"))
    assert len(found["checks"]) == len(checks) and set(found["checks"]) == {"--"}


def test_the_banks_are_those_of_your_file(installed, airflow_home, tmp_path):
    banks = tmp_path / "mine.yaml"
    banks.write_text("banks: [{name: physics, topics: [physics], linking: {method: none}}]\n")
    assert run(installed, airflow_home, _PARSE, IRT_BANKS=str(banks))["banks"] == ["physics"]


def test_the_folders_of_a_checkout_are_another_deployment(airflow_home):
    for name in ("plugins", "include"):
        shutil.copytree(ROOT / name, airflow_home / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    found = run(None, airflow_home, _PARSE)
    assert (found["errors"], set(found["dags"])) == ({}, DAGS)
    assert found["irt"] == str(airflow_home / "plugins" / "irt" / "__init__.py")
    assert set(found["checks"]) == {"--"}


def test_where_both_are_present_the_wheel_is_used_and_nothing_is_loaded_twice(installed, airflow_home):
    for name in ("plugins", "include"):
        shutil.copytree(ROOT / name, airflow_home / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    found = run(installed, airflow_home, _PARSE)
    assert (found["errors"], set(found["dags"])) == ({}, DAGS)
    assert found["irt"] == str(installed / "irt" / "__init__.py")
    assert found["twice"] == ["irt"]


def test_airflow_knows_the_connection_type_and_its_button_tests_it(installed, airflow_home):
    with scripted_server() as (server, port):
        health = {"status": "ok", "engine": {"name": "irt-engine", "version": "9.8"}, "contract": "1.0"}
        server.script["GET", "/healthz"] = Answer(200, health)
        server.script["GET", "/irt/jobs"] = Answer(200, {"jobs": []})
        connection = {
            "conn_type": "irt_calibration",
            "host": "127.0.0.1",
            "port": port,
            "schema": "http",
            "password": "p%s/t",
        }
        found = run(installed, airflow_home, _CONNECT, json.dumps(connection))
        assert {request.headers["Authorization"] for request in server.requests} == {"Bearer p%s/t"}
    assert found["version"] == irt_engine.__version__
    assert found["test"] == [True, "irt-engine 9.8, contract 1.0; the token was accepted"]
    form = found["form"]
    assert form["hook_name"] == "IRT calibration service"
    fields = form["standard_fields"]
    assert fields["password"]["title"] == "Token" and fields["login"]["hidden"]
    assert fields["host"]["placeholder"] and fields["url_schema"]["placeholder"] == "http or https"
    assert form["extra_fields"]["verify"]["schema"]["title"] == "Certificate authority"


def test_the_schema_is_applied_by_the_installed_command(installed, postgres, tmp_path):
    postgres.create_databases("of_the_wheel")
    connection = {"conn_type": "postgres", "host": str(postgres.socket), "login": "postgres", "schema": "of_the_wheel"}
    variables = clean_environment(
        PYTHONPATH=str(installed), AIRFLOW_HOME=str(tmp_path), AIRFLOW_CONN_SEEDTEST_OWNER=json.dumps(connection)
    )

    def migrate(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, installed / "bin" / "irt-calibration", "migrate"]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    first, second = migrate(**variables), migrate(**variables)
    files = sorted(file.stem for file in (ROOT / "include" / "sql" / "schema").glob("*.sql"))
    assert first.stdout.splitlines() == [f"applied {name}" for name in files], first.stderr
    assert second.stdout == "the schema is up to date\n"
    with psycopg.connect(postgres.conninfo("of_the_wheel")) as database:
        assert database.execute("select count(*) from irt.run").fetchone() == (0,)
    command = [sys.executable, installed / "bin" / "irt-calibration", "replay", "nonsense"]
    environment = variables | {"AIRFLOW_CONN_SEEDTEST_DB": json.dumps(connection)}
    replayed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (replayed.returncode, replayed.stdout) == (2, ""), replayed.stderr
    assert replayed.stderr.splitlines()[-1] == "cannot replay nonsense: there is no such run in irt.run"
    nowhere = {name: value for name, value in variables.items() if not name.startswith("AIRFLOW_CONN")}
    refused = migrate(**nowhere)
    assert refused.returncode == 1 and "seedtest_db" in refused.stderr.splitlines()[-1]
