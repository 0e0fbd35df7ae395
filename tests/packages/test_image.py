"""The one-shot services of docker-compose.yaml, with only the contents of their images: the wheel and a few files."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys

import psycopg
import pytest
import yaml

from local.home import ROOT
from local.postgres import EmbeddedPostgres
from tests.packages.conftest import clean_environment

PASSWORDS = {f"IRT_{who}_PASSWORD": f"password of {who}" for who in ("AIRFLOW", "OWNER", "DAG")}


@pytest.fixture(scope="module")
def server(tmp_path_factory, supervisor) -> EmbeddedPostgres:
    """An empty one."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("image"))
    server.prepare()
    command = server.command()
    supervisor.start(dataclasses.replace(command, name="image-postgres"))

    def check() -> None:
        assert supervisor.alive("image-postgres"), supervisor.tail("image-postgres")

    server.wait(lambda: supervisor.work("image-postgres"), check, print)
    return server


def test_databases_and_demo_data_need_nothing_else_of_the_checkout(server, installed, tmp_path):
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    home = tmp_path / "airflow"
    shutil.copytree(ROOT / "demo", home / "demo")
    shutil.copy(ROOT / "deploy" / "airflow" / "databases.py", home)

    def run(service: str, **variables: str) -> str:
        program, *arguments = services[service]["command"]
        assert program == "python"
        environment = clean_environment(PYTHONPATH=str(installed), PGHOST=str(server.socket), **variables)
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "applied 0001" in run("migrate", PGUSER="postgres", **PASSWORDS)
    owner = {"PGUSER": "irt_owner", "PGDATABASE": "seedtest", "PGPASSWORD": PASSWORDS["IRT_OWNER_PASSWORD"]}
    assert run("demo-data", **owner) == "loaded: 1500 exams, 155 questions\n"
    with psycopg.connect(server.conninfo("seedtest")) as database:
        assert database.execute("select count(*) from attempt").fetchone() == (17_345,)
