"""Secrets: the repository has none; both overlays make the same ones, which Airflow and the service can read."""

from __future__ import annotations

import base64
import re
import subprocess

import pytest
import yaml
from airflow.models.connection import Connection

from tests.deploy.manifests import DEPLOY, ROOT, only

CONNECTIONS = {"AIRFLOW_CONN_SEEDTEST_DB", "AIRFLOW_CONN_R_IRT"}
UNTRACKED = ["deploy/overlays/direct-secret/token", "deploy/overlays/direct-secret/connections.env"]


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_no_secret_in_the_repository():
    tracked = git("ls-files", "--cached", "--others", "--exclude-standard", "deploy")
    assert "deploy/base/deployment.yaml" in tracked
    assert not set(tracked) & set(UNTRACKED)
    for file in tracked:
        if file.endswith(".yaml"):
            kinds = [document.get("kind") for document in yaml.safe_load_all((ROOT / file).read_text())]
            assert "Secret" not in kinds, file
            assert "literals" not in (ROOT / file).read_text(), f"{file}: a literal would be a secret in the repository"


def test_the_files_that_hold_secrets_are_ignored():
    assert git("check-ignore", "--no-index", *UNTRACKED) == UNTRACKED


def test_examples_hold_no_secret():
    for example in (DEPLOY / "overlays" / "direct-secret").glob("*.example"):
        assert "replace-me" in example.read_text()


@pytest.mark.parametrize("name", ["base", "rbac", "namespace", "overlays/external-secret", "made/beside-the-cronjob"])
def test_nothing_else_makes_secrets_of_its_own(builds, name):
    assert all(o["kind"] != "Secret" for o in builds[name])


def test_direct_secrets(builds):
    objects = builds["overlays/direct-secret"]
    connections = only(objects, "Secret", "irt-connections")
    assert connections["metadata"]["namespace"] == "airflow"
    assert set(connections["data"]) == CONNECTIONS
    token = only(objects, "Secret", "r-irt-credentials")
    assert token["metadata"]["namespace"] == "seedtest"
    assert set(token["data"]) == {"token"}


def test_airflow_reads_the_connections_of_the_example(builds):
    found = decoded(only(builds["overlays/direct-secret"], "Secret", "irt-connections"))
    database = Connection.from_json(found["AIRFLOW_CONN_SEEDTEST_DB"])
    assert (database.conn_type, database.login, database.port) == ("postgres", "irt_dag", 5432)
    assert database.extra_dejson == {"sslmode": "require"}
    assert_leads_to_the_service(builds, Connection.from_json(found["AIRFLOW_CONN_R_IRT"]))


def assert_leads_to_the_service(builds, connection):
    service = only(builds["base"], "Service")
    assert connection.conn_type == "http"
    assert connection.host == f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert connection.port == service["spec"]["ports"][0]["port"]


def test_external_secrets(builds):
    objects = builds["overlays/external-secret"]
    connections = only(objects, "ExternalSecret", "irt-connections")
    assert connections["metadata"]["namespace"] == "airflow"
    assert connections["spec"]["target"]["name"] == "irt-connections"
    assert set(connections["spec"]["target"]["template"]["data"]) == CONNECTIONS
    assert connections["spec"]["dataFrom"] == [{"extract": {"key": "seedtest-db-credentials"}}]
    token = only(objects, "ExternalSecret", "r-irt-credentials")
    assert token["metadata"]["namespace"] == "seedtest"
    assert [entry["secretKey"] for entry in token["spec"]["data"]] == ["token"]
    # The CronJob reads this Secret, so it must outlive the object that made it.
    assert token["spec"]["target"] == {
        "name": "r-irt-credentials",
        "creationPolicy": "Orphan",
        "deletionPolicy": "Retain",
    }


def test_the_template_of_the_service_is_a_connection(builds):
    made = only(builds["overlays/external-secret"], "ExternalSecret", "irt-connections")
    template = made["spec"]["target"]["template"]["data"]["AIRFLOW_CONN_R_IRT"]
    text = template.replace("{{ .token | trim | toJson }}", '"the token"')
    connection = Connection.from_json(text)
    assert connection.password == "the token"
    assert_leads_to_the_service(builds, connection)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgres://u:p%40w@127.0.0.1:5432/seedtest?sslmode=disable",
            "postgres://u:p%40w@{}/seedtest?sslmode=disable",
        ),
        ("postgres://127.0.0.1/seedtest", "postgres://{}/seedtest"),
        ("postgres://u:p%40w@[::1]:5432/seedtest", "postgres://u:p%40w@{}/seedtest"),
    ],
)
def test_the_host_of_the_store_takes_the_place_of_the_urls(builds, url, expected):
    """The template's own pattern, run by Python; RE2 and Go's `${1}` have the same meaning here."""
    made = only(builds["overlays/external-secret"], "ExternalSecret", "irt-connections")
    template = made["spec"]["target"]["template"]["data"]["AIRFLOW_CONN_SEEDTEST_DB"]
    (found,) = re.findall(
        r'with index \. "airflow_host" -}}\s*{{- \$url = regexReplaceAll "(.*?)" \$url \(printf "(.*?)"', template
    )
    pattern, replacement = found
    assert replacement == "${1}%s"
    proxy = "cloud-sql-proxy.seedtest.svc:5432"
    assert re.sub(pattern, rf"\g<1>{proxy}", url) == expected.format(proxy)
