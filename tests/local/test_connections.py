"""From raw Secrets to Airflow connections."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from airflow.sdk import BaseHook
from airflow.secrets.local_filesystem import LocalFilesystemBackend
from psycopg.conninfo import conninfo_to_dict

from irt.hooks.patience import NETWORK
from irt.hooks.postgres import ArrowPostgresHook
from local import connections
from local.connection_notes import KEYS, notes
from local.connections import ConnectionsError, database_connection, from_secrets, read_json, service_connection
from local.database_url import at_host, leads_to_this_machine

DEPLOY = Path(__file__).parents[2] / "deploy"

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
    # Through Airflow and our hook, libpq gets the same address.
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(connection))
    wanted = conninfo_to_dict("postgresql://" + url.strip().partition("://")[2])
    found = conninfo_to_dict(ArrowPostgresHook(postgres_conn_id="seedtest_db").conninfo())
    assert {name: value for name, value in found.items() if name not in NETWORK or name in wanted} == wanted


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected postgresql://"),
        ("mysql://u:s3cret@db/x", "expected postgresql://"),
        ("postgresql://u:s3cret@db", "no database is named"),
        ("postgresql://u:s3cret@db1,db2/x", "several hosts"),
        ("postgresql://u:s3cret@db:many/x", "the port is not a number"),
        ("postgresql://u:s3cret#@db:s3cret/x", "must be percent-encoded"),
        ("postgresql://u:s3cret%zz@db/x", "%40"),
        ("postgresql://u:s3cret@db/x?prepared_statement_cache_size=0", "invalid URI query parameter"),
        # libpq accepts each of them, some with a part of the password as host, port or database.
        ("postgresql://s3cretuser:7531@s3cret@s3crethost/x", "must be percent-encoded"),
        ("postgresql://s3cretuser:7531/s3cret@s3crethost/x", "must be percent-encoded"),
        ("postgresql://s3cretuser:7531:s3cret@s3crethost/x", "must be percent-encoded"),
        ("postgresql://s3cretuser:7531#s3cret@s3crethost/x", "must be percent-encoded"),
        ("postgresql://s3cretuser:7531?s3cret@s3crethost/x", "must be percent-encoded"),
        ("postgresql://s3cretuser:s3cret@s3crethost/x?password=s@s3cret", "must be percent-encoded"),
        ("postgresql://s3cretuser:s3cret\nX@s3crethost/x", "DATABASE_URL: it contains a control character"),
        ("postgresql://s3cretuser:s3cret%0A@s3crethost/x", "DATABASE_URL: it contains a percent-encoded control"),
        ("postgresql://s3cretuser:s3%09cret@s3crethost/x", "DATABASE_URL: it contains a percent-encoded control"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url, message):
    with pytest.raises(ConnectionsError, match=message) as error:
        database_connection(url)
    assert not any(part in str(error.value) for part in ("s3cret", "7531"))


@pytest.mark.parametrize("token", ["", " \n", "two words"])
def test_a_token_that_is_none(token):
    with pytest.raises(ConnectionsError, match="token: it is empty or contains a space"):
        service_connection("http://r-irt:80", token)


@pytest.mark.parametrize("token", ["s3c\nret", "s3c\r\nret", "s3c\tret", "s3c\x00ret", "s3c\x1b[1mret", "s3c\u2028ret"])
def test_a_token_with_a_control_character_is_refused_by_its_name(token):
    with pytest.raises(ConnectionsError, match="token: it contains a control character") as error:
        service_connection("http://r-irt:80", token)
    assert "s3c" not in str(error.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_line_ends_after_a_value_are_taken_off(end):
    """Airflow's masker knows the plain password, not its JSON form with an escaped line end."""
    documents = [
        secret("seedtest-db-credentials", DATABASE_URL=URL + end),
        secret("r-irt-credentials", token="t0ken" + end),
    ]
    made = from_secrets(documents, "http://r-irt:80")
    assert (made["seedtest_db"]["schema"], made["r_irt"]["password"]) == ("seedtest", "t0ken")


LOCAL = [
    "127.0.0.1", "127.0.0.1:5432", "localhost", "LOCALHOST.", "[::1]:5432", "127.0.1.1", "[::ffff:127.0.0.1]",
    "0.0.0.0", "%2Fcloudsql%2Fp%3Ar%3Ai", "",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
def test_a_database_in_the_pod_itself(host):
    assert leads_to_this_machine(database_connection(f"postgresql://u:pw@{host}/seedtest"))


@pytest.mark.parametrize(
    "place", ["db", "db:5432", "10.0.0.7", "[2001:db8::1]", "localhost.example.org", "127.example.org"]
)
def test_a_database_elsewhere(place):
    assert not leads_to_this_machine(database_connection(f"postgresql://u:pw@{place}/seedtest"))


def test_an_address_in_the_options_decides():
    url = "postgresql://u:pw@db/seedtest?hostaddr="
    assert leads_to_this_machine(database_connection(url + "127.0.0.1"))
    assert not leads_to_this_machine(database_connection(url + "10.0.0.7"))


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("proxy.seedtest.svc:6432", {"host": "proxy.seedtest.svc", "port": 6432}),
        ("proxy", {"host": "proxy", "port": 5433}),
        ("[2001:db8::1]:1", {"host": "2001:db8::1", "port": 1}),
    ],
)
def test_another_host(place, expected):
    connection = database_connection("postgresql://u:pw@127.0.0.1:5433/seedtest?hostaddr=127.0.0.1&sslmode=disable")
    rest = {"conn_type": "postgres", "login": "u", "password": "pw", "schema": "seedtest"}
    assert at_host(connection, place) == rest | expected | {"extra": {"sslmode": "disable"}}


@pytest.mark.parametrize(
    "place", ["", "a b", "db:", "db:0", "db:65536", "db:x", "u@db", "a,b", "/tmp", "2001:db8::1", "[db]"]
)
def test_another_host_that_is_none(place):
    with pytest.raises(ConnectionsError, match="--host: expected NAME or NAME:PORT"):
        at_host({"conn_type": "postgres"}, place)


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
    # A shell reads the intended value.
    show = f". {out}; printf '%s' \"$AIRFLOW_CONN_SEEDTEST_DB\""
    told = subprocess.run(["bash", "-c", show], capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["password"] == PASSWORD
    code, shown = run(tmp_path, "from-secrets", "--stdin", given=given)
    assert (code, "already exists" in shown) == (1, True)


def test_a_manifest(tmp_path):
    code, _ = run(tmp_path, "from-database-url", "--format", "secret", given=URL)
    manifest = yaml.safe_load((tmp_path / "out").read_text())
    assert (code, manifest["kind"], manifest["metadata"]) == (0, "Secret", {"name": "irt-connections"})
    assert json.loads(manifest["stringData"]["AIRFLOW_CONN_SEEDTEST_DB"])["password"] == PASSWORD
    assert json.loads(manifest["stringData"]["connections.json"])["seedtest_db"]["login"] == "irt"


def test_a_database_beside_the_job_is_said_aloud_and_another_host_named(tmp_path):
    given = URL.replace("@db:5432", "@127.0.0.1:5432")
    code, shown = run(tmp_path, "from-database-url", given=given)
    assert code == 0, shown
    assert "the database is at 127.0.0.1: " in shown
    assert "--host cloud-sql-proxy.seedtest.svc:5432" in shown and "docs/kubernetes.md" in shown
    assert PASSWORD not in shown and ENCODED not in shown
    (tmp_path / "out").unlink()
    code, shown = run(tmp_path, "from-database-url", "--host", "proxy.seedtest.svc:6432", given=given)
    assert (code, "note" in shown) == (0, False), shown
    assert "seedtest_db: postgres, proxy.seedtest.svc:6432, schema seedtest" in shown
    assert json.loads((tmp_path / "out").read_text())["seedtest_db"]["password"] == PASSWORD


@pytest.mark.parametrize("form", ["env", "json", "secret"])
def test_a_host_that_is_none_writes_nothing(tmp_path, form):
    code, shown = run(tmp_path, "from-database-url", "--format", form, "--host", "a b", given=URL)
    assert (code, "--host: expected" in shown, (tmp_path / "out").exists()) == (1, True, False)


@pytest.mark.parametrize("form", ["env", "json", "secret"])
def test_a_secret_that_lacks_what_airflow_reads_is_said(form):
    database, both = {"seedtest_db": database_connection(URL)}, from_secrets(SECRETS, "http://r-irt:80")
    assert notes(both, form) == []
    found = notes(database, form)
    assert (["has no AIRFLOW_CONN_R_IRT," in note for note in found]) == ([True] if form == "secret" else [])


def test_the_manifest_has_the_name_and_the_keys_that_the_deployment_reads():
    manifest = yaml.safe_load(connections.as_manifest(from_secrets(SECRETS, "http://r-irt:80")))
    values = yaml.safe_load((DEPLOY / "airflow" / "values.yaml").read_text())
    read = [entry["valueFrom"]["secretKeyRef"] for entry in values["workers"]["kubernetes"]["env"]]
    assert {entry["name"] for entry in read} == {manifest["metadata"]["name"]}
    keys = {entry["key"] for entry in read}
    assert keys == set(KEYS) == set(manifest["stringData"]) - {"connections.json"}

    overlays = DEPLOY / "overlays"
    generated = yaml.safe_load((overlays / "direct-secret" / "kustomization.yaml").read_text())["secretGenerator"]
    assert manifest["metadata"]["name"] in {entry["name"] for entry in generated}
    example = (overlays / "direct-secret" / "connections.env.example").read_text()
    assert {line.partition("=")[0] for line in example.splitlines()} == keys
    target = yaml.safe_load((overlays / "external-secret" / "airflow-connections.yaml").read_text())["spec"]["target"]
    assert (target["name"], set(target["template"]["data"])) == (manifest["metadata"]["name"], keys)


def test_without_kubectl(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    code, shown = run(tmp_path, "from-secrets")
    assert (code, "kubectl is not installed" in shown) == (1, True)


def test_rotation_the_next_task_uses_the_new_value(tmp_path, monkeypatch):
    """Connections in a file, such as a mounted Secret: Airflow reads it for every task."""
    out = tmp_path / "connections.json"
    for token in ("old-token", "new-token"):
        made = {"r_irt": service_connection("http://r-irt:80", token)}
        # As the kubelet does: a new file replaces the old one.
        connections.write(made, "json", out.with_suffix(".new"))
        os.replace(out.with_suffix(".new"), out)
        backend = LocalFilesystemBackend(connections_file_path=str(out))
        assert backend.get_connection("r_irt").password == token
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(made["r_irt"]))
    assert BaseHook.get_connection("r_irt").password == "new-token"
