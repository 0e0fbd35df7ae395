"""A user's own password, with quotes, backslashes and the like, arrives as written in `.env`."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import dotenv
import pytest
from airflow.models.connection import Connection

from deploy.airflow import databases
from local import env
from local.home import ROOT
from tests.compose.conftest import ODD, interpolate

ENTRYPOINT = ROOT / "deploy" / "airflow" / "entrypoint.py"


@pytest.fixture(scope="module")
def odd(written) -> dict[str, dict]:
    """The services, with this password in place of each one from `./irt env`.

    Read from `.env` as docker-compose 1.29 does. Compose 2 reads single-quoted values in the same way.
    """
    in_quotes = "'" + ODD.replace("'", "\\'") + "'"
    text = re.sub(r"(?m)^(\w*(?:PASSWORD|SERVICE_SECRET))=.*$", lambda match: f"{match[1]}={in_quotes}", env.text())
    settings = dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False)
    assert list(settings.values()).count(ODD) == 7
    return interpolate(written, settings)["services"]


@pytest.fixture
def started(odd, tmp_path):
    """The environment of a service's command, after the image's entrypoint."""

    def start(service: str) -> dict[str, str]:
        environment = {name: str(value) for name, value in odd[service]["environment"].items()}
        environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"] = str(tmp_path / "passwords.json")
        show = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
        command = [sys.executable, "-IS", ENTRYPOINT, *show]
        return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)

    return start


@pytest.mark.parametrize("service", ["scheduler", "triggerer", "worker"])
def test_the_connections(started, odd, service):
    environment = started(service)
    database = Connection.from_json(environment["AIRFLOW_CONN_SEEDTEST_DB"])
    # The login that is only a member of irt_pipeline, neither the owner nor a superuser.
    assert (database.login, database.schema) == (databases.LOGIN, databases.DATABASE)
    assert database.password == ODD
    calibration = Connection.from_json(environment["AIRFLOW_CONN_R_IRT"])
    assert (calibration.conn_type, calibration.host, calibration.port) == ("http", "r-irt", 8000)
    assert calibration.password == ODD == odd["r-irt"]["environment"]["IRT_SERVICE_TOKEN"]
    assert not [name for name in environment if name.startswith("IRT_PASSWORD_")]


def test_the_users_interface(started, tmp_path):
    environment = started("api-server")
    file = tmp_path / "passwords.json"
    assert json.loads(file.read_text()) == {"admin": ODD}
    assert file.stat().st_mode & 0o077 == 0
    assert "IRT_UI_PASSWORD" not in environment


def test_the_command_starts_without_any_of_them(tmp_path):
    done = subprocess.run(
        [sys.executable, "-IS", ENTRYPOINT, "sh", "-c", "exit 7"], env={"PATH": os.environ["PATH"]}, check=False
    )
    assert done.returncode == 7


def test_redis_and_those_who_ask_it(odd, tmp_path):
    environment = odd["worker"]["environment"]
    command = environment["AIRFLOW__CELERY__BROKER_URL_CMD"].replace("/opt/airflow", str(ENTRYPOINT.parent)).split()
    command[0] = sys.executable
    address = subprocess.run(
        command, env=environment_of(environment), check=True, capture_output=True, text=True
    ).stdout
    assert unquote(urlsplit(address.strip()).password) == ODD

    # A stand-in that shows what the server would read. Redis reads `\\"` and `\\\\` in quotes as JSON does.
    (tmp_path / "redis-server").write_text('#!/bin/sh\n[ "$*" = - ] && cat\n')
    (tmp_path / "redis-server").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    redis = odd["redis"]
    told = subprocess.run(
        redis["command"], env=environment_of(redis["environment"]) | path, check=True, capture_output=True, text=True
    ).stdout
    password = json.loads(re.findall(r"^requirepass (.*)$", told, re.MULTILINE)[0])
    assert password == ODD


def environment_of(service: dict) -> dict[str, str]:
    return {name: str(value) for name, value in service.items()} | {"PATH": os.environ["PATH"]}
