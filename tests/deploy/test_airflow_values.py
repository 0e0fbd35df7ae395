"""The values for the chart agree with everything else here; the chart itself is on no registry that CI reaches."""

from __future__ import annotations

import re

from tests.deploy.manifests import DEPLOY, ROOT, only, selects

COMPONENTS = ("workers", "triggerer", "scheduler", "dagProcessor", "apiServer", "migrateDatabaseJob", "cleanup")


def test_the_version_is_that_of_the_lock(values):
    assert f"apache-airflow=={values['airflowVersion']}" in (ROOT / "requirements.in").read_text()


def test_the_chart_is_named():
    text = (DEPLOY / "airflow" / "values.yaml").read_text()
    (version,) = set(re.findall(r"--version (\d+\.\d+\.\d+)", text))
    assert f"chart {version}" in text


def test_image_is_pinned(values):
    assert re.fullmatch(r"\d+\.\d+\.\d+", values["defaultAirflowTag"])
    assert values["defaultAirflowRepository"]


def test_the_images_are_built_here(values):
    """User and folders are the Dockerfile's."""
    dockerfile = (DEPLOY / "airflow" / "Dockerfile").read_text()
    assert f"docker build -t {values['defaultAirflowRepository']} " in dockerfile
    user, group = re.findall(r"^USER (\d+):(\d+)$", dockerfile, flags=re.MULTILINE)[-1]
    pod = values["securityContexts"]["pod"]
    assert (pod["runAsUser"], pod["fsGroup"]) == (int(user), int(group))
    include = next(entry["value"] for entry in values["env"] if entry["name"] == "IRT_INCLUDE")
    home = re.findall(r"^WORKDIR (.*)$", dockerfile, flags=re.MULTILINE)[-1]
    assert include == f"{home}/include"


def test_connections_come_from_what_the_overlays_make(builds, values):
    wanted = {(entry["secretName"], entry["secretKey"]) for entry in values["secret"]}
    made = only(builds["overlays/direct-secret"], "Secret", "irt-connections")
    assert wanted == {(made["metadata"]["name"], key) for key in made["data"]}
    template = only(builds["overlays/external-secret"], "ExternalSecret", "irt-connections")["spec"]["target"]
    assert wanted == {(template["name"], key) for key in template["template"]["data"]}
    assert all(entry["envName"] == entry["secretKey"] for entry in values["secret"])


def test_no_password_is_in_the_values_nor_made_by_the_chart(values):
    assert values["postgresql"]["enabled"] is False
    assert values["createUserJob"]["enabled"] is False
    assert set(values["data"]) == {"metadataSecretName"}
    assert all(values[f"{key}Name"] == "airflow-keys" for key in ("fernetKeySecret", "apiSecretKeySecret", "jwtSecret"))
    assert not any("CONN" in entry["name"] for entry in values["env"])
    api_server = {entry["name"]: entry for entry in values["apiServer"]["env"]}
    password = {
        "name": "IRT_UI_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "airflow-keys", "key": "ui-password"}},
    }
    assert api_server["IRT_UI_PASSWORD"] == password


def test_settings_are_those_that_the_dags_read(values):
    settings = {entry["name"]: entry["value"] for entry in values["env"]}
    assert all(isinstance(value, str) for value in settings.values())
    code = "\n".join(file.read_text() for folder in ("dags", "plugins") for file in (ROOT / folder).rglob("*.py"))
    for name in settings:
        assert name in code or name.removeprefix("AIRFLOW_VAR_").lower() in code, name
    # Tasks run on different nodes: a folder of one of them is of no use.
    assert not settings["AIRFLOW_VAR_IRT_STAGING"].startswith("file:")


def test_rights(values):
    pod, container = values["securityContexts"]["pod"], values["securityContexts"]["containers"]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert values["multiNamespaceMode"] is False


def test_every_component_has_resources(values):
    for component in COMPONENTS:
        for which in ("requests", "limits"):
            assert set(values[component]["resources"][which]) == {"cpu", "memory"}, component


def test_logs_outlive_the_pods(values):
    assert values["executor"] == "KubernetesExecutor"
    assert values["config"]["logging"]["remote_logging"] == "True"


def test_tasks_run_where_the_network_policy_lets_them_in(builds, values):
    """The KubernetesExecutor's pods and the triggerer have these labels in the chart."""
    (rule,) = only(builds["base"], "NetworkPolicy")["spec"]["ingress"]
    (peer,) = rule["from"]
    for component in ("worker", "triggerer"):
        assert selects(peer["podSelector"], {"tier": "airflow", "component": component})
