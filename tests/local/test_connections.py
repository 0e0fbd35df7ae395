"""From raw Secrets to Airflow connections."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys

import pytest
import yaml
from airflow.sdk import BaseHook
from airflow.secrets.local_filesystem import LocalFilesystemBackend
from psycopg.conninfo import conninfo_to_dict

from irt.hooks.postgres import ArrowPostgresHook
from local import connections
from local.connections import ConnectionsError, database_connection, from_secrets, read_json, service_connection

PASSWORD = "p@ss:w/rd #1'\"%€"
ENCODED = "p%40ss%3Aw%2Frd%20%231%27%22%25%E2%82%AC"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:pw@db:5433/seedtest", {"host": "db", "port": 5433, "login": "u", "password": "pw"}),
        ("postgres://u:pw@db/seedtest\n", {"host": "db", "login": "u", "password": "pw"}),
        ("postgresql+psycopg2://u:pw@db/seedtest", {"host": "db", "login": "u", "password": "pw"}),
        (f"postgresql://u:{ENCODED}@db/seedtest", {"host": "db", "login": "u", "password": PASSWORD}),
        (
            "postgresql://us%40r:pw@db/seedtest?sslmode=verify-full&sslrootcert=/c",
            {"host": "db", "login": "us@r", "password": "pw", "extra": {"sslmode": "verify-full", "sslrootcert": "/c"}},
        ),
        ("postgresql://u@/seedtest?host=/var/run/postgresql", {"host": "/var/run/postgresql", "login": "u"}),
        ("postgresql://u@%2Fvar%2Frun%2Fpostgresql/seedtest", {"host": "/var/run/postgresql", "login": "u"}),
        ("postgresql:///seedtest", {}),
        (
            "postgresql://u:pw@[2001:db8::1]:5432/seedtest",
            {"host": "2001:db8::1", "port": 5432, "login": "u", "password": "pw"},
        ),
    ],
)  # fmt: skip
def test_every_form_of_a_database_url(url, expected, monkeypatch):
    connection = database_connection(url)
    assert connection == {"conn_type": "postgres", "schema": "seedtest", **expected}
    # Through Airflow and our hook to libpq it is the same address again.
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(connection))
    wanted = conninfo_to_dict("postgresql://" + url.strip().partition("://")[2])
    assert conninfo_to_dict(ArrowPostgresHook(postgres_conn_id="seedtest_db").conninfo()) == wanted


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected postgresql://"),
        ("mysql://u:s3cret@db/x", "expected postgresql://"),
        ("postgresql://u:s3cret@db", "no database is named"),
        ("postgresql://u:s3cret@db1,db2/x", "several hosts"),
        ("postgresql://u:s3cret@db:many/x", "percent-encoded"),
        ("postgresql://u:s3cret#@db:s3cret/x", "percent-encoded"),
        ("postgresql://u:s3cret%zz@db/x", "percent-encoded"),
        ("postgresql://u:s3cret@db/x?prepared_statement_cache_size=0", "percent-encoded"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url, message):
    with pytest.raises(ConnectionsError, match=message) as error:
        database_connection(url)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("token", ["", " \n", "two words"])
def test_a_token_that_is_none(token):
    with pytest.raises(ConnectionsError, match="token: it is empty or has a space"):
        service_connection("http://r-irt:80", token)


@pytest.mark.parametrize("address", ["r-irt", "ftp://r-irt", "http://", "http://u:p@r-irt", "http://r-irt/irt"])
def test_an_address_of_the_service_that_is_none(address):
    with pytest.raises(ConnectionsError, match="--service: expected http://host:port"):
        service_connection(address, "t")


def secret(name, **data):
    return {"metadata": {"name": name}, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}


URL = f"postgresql://irt:{ENCODED}@db:5432/seedtest"
SECRETS = [secret("seedtest-db-credentials", DATABASE_URL=URL), secret("r-irt-credentials", token="planted-token\n")]


@pytest.mark.parametrize("text", [json.dumps({"items": SECRETS}), "\n".join(map(json.dumps, SECRETS))])
def test_both_secrets(text):
    made = from_secrets(read_json(text), "https://r-irt.example.org")
    assert made["seedtest_db"]["password"] == PASSWORD
    assert made["r_irt"] == {
        "conn_type": "http", "host": "r-irt.example.org", "port": 443, "schema": "https", "password": "planted-token",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (SECRETS[:1], "there is no Secret r-irt-credentials"),
        ([SECRETS[0], secret("r-irt-credentials", other="x")], "Secret r-irt-credentials has no key token"),
        ([SECRETS[0], {"metadata": {"name": "r-irt-credentials"}, "data": {"token": "%%%"}}], "is not base64"),
        ([SECRETS[0], {"metadata": {"name": "r-irt-credentials"}, "data": {"token": None}}], "is not base64"),
        ([{}], "there is no Secret seedtest-db-credentials"),
    ],
)
def test_secrets_that_cannot_be_used(documents, message):
    with pytest.raises(ConnectionsError, match=message):
        from_secrets(documents, "http://r-irt:80")


def run(tmp_path, *arguments, given=""):
    command = [sys.executable, "-m", "local", "connections", *arguments, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_command_shows_no_secret_and_writes_for_its_owner_alone(tmp_path):
    given = json.dumps({"items": SECRETS})
    code, shown = run(tmp_path, "from-secrets", "--stdin", "--format", "env", given=given)
    assert code == 0, shown
    assert PASSWORD not in shown and ENCODED not in shown and "planted-token" not in shown
    assert "seedtest_db: postgres, db:5432, schema seedtest, login irt, password set" in shown
    out = tmp_path / "out"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    # A shell reads it as it is meant.
    show = f". {out}; printf '%s' \"$AIRFLOW_CONN_SEEDTEST_DB\""
    told = subprocess.run(["bash", "-c", show], capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["password"] == PASSWORD
    code, shown = run(tmp_path, "from-secrets", "--stdin", given=given)
    assert (code, "is there already" in shown) == (1, True)


def test_a_manifest(tmp_path):
    code, _ = run(tmp_path, "from-database-url", "--format", "secret", given=URL)
    manifest = yaml.safe_load((tmp_path / "out").read_text())
    assert (code, manifest["kind"], manifest["metadata"]) == (0, "Secret", {"name": "airflow-irt-connections"})
    assert json.loads(manifest["stringData"]["AIRFLOW_CONN_SEEDTEST_DB"])["password"] == PASSWORD
    assert json.loads(manifest["stringData"]["connections.json"])["seedtest_db"]["login"] == "irt"


def test_without_kubectl(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    code, shown = run(tmp_path, "from-secrets")
    assert (code, "kubectl is not installed" in shown) == (1, True)


def test_rotation_the_next_task_uses_the_new_value(tmp_path, monkeypatch):
    """Connections in a file, as a mounted Secret is one: Airflow reads it for every task."""
    out = tmp_path / "connections.json"
    for token in ("old-token", "new-token"):
        made = {"r_irt": service_connection("http://r-irt:80", token)}
        # As the kubelet does it: a new file in place of the old one.
        connections.write(made, "json", out.with_suffix(".new"))
        os.replace(out.with_suffix(".new"), out)
        backend = LocalFilesystemBackend(connections_file_path=str(out))
        assert backend.get_connection("r_irt").password == token
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(made["r_irt"]))
    assert BaseHook.get_connection("r_irt").password == "new-token"
