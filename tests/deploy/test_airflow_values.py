"""The values for the chart agree with everything else here; CI cannot download the chart itself (docs/kubernetes.md
describes how to check them against it)."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pytest

from tests.deploy.manifests import DEPLOY, ROOT, only, selects

COMPONENTS = ("workers", "triggerer", "scheduler", "dagProcessor", "apiServer", "migrateDatabaseJob", "cleanup")
WAIT = ("triggerer", "scheduler", "dagProcessor", "apiServer")


def component_of(values, name):
    return values["workers"]["kubernetes"] if name == "workers" else values[name]


def test_the_version_is_that_of_the_lock(values):
    assert f"apache-airflow=={values['airflowVersion']}" in (ROOT / "requirements.txt").read_text().splitlines()


def test_the_chart_is_named():
    text = (DEPLOY / "airflow" / "values.yaml").read_text()
    (version,) = set(re.findall(r"--version (\d+\.\d+\.\d+)", text))
    assert f"chart {version}" in text


def test_image_is_pinned(values):
    assert re.fullmatch(r"\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", values["defaultAirflowTag"])
    assert values["defaultAirflowRepository"]
    # Without it, the chart's task pods would run another image.
    assert "defaultAirflowDigest" not in values


def test_the_images_are_built_here(values):
    """User and folders match the Dockerfile."""
    dockerfile = (DEPLOY / "airflow" / "Dockerfile").read_text()
    assert f"docker build -t {values['defaultAirflowRepository']} " in dockerfile
    user, group = re.findall(r"^USER (\d+):(\d+)$", dockerfile, flags=re.MULTILINE)[-1]
    pod = values["securityContexts"]["pod"]
    assert (pod["runAsUser"], pod["fsGroup"]) == (int(user), int(group))


def secrets_of(entries) -> dict[str, tuple[str, str]]:
    """Name and key of the Secret by variable name."""
    references = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in entries}
    return {name: (reference["name"], reference["key"]) for name, reference in references.items()}


def test_connections_come_from_what_the_overlays_make(builds, values):
    wanted = set(secrets_of(values["workers"]["kubernetes"]["env"]).values())
    made = only(builds["overlays/direct-secret"], "Secret", "irt-connections")
    assert wanted == {(made["metadata"]["name"], key) for key in made["data"]}
    template = only(builds["overlays/external-secret"], "ExternalSecret", "irt-connections")["spec"]["target"]
    assert wanted == {(template["name"], key) for key in template["template"]["data"]}


def test_no_password_is_in_the_values_nor_made_by_the_chart(values):
    assert values["postgresql"]["enabled"] is False
    assert values["createUserJob"]["enabled"] is False
    assert set(values["data"]) == {"metadataSecretName"}
    assert all(values[f"{key}Name"] == "airflow-keys" for key in ("fernetKeySecret", "apiSecretKeySecret", "jwtSecret"))
    assert not any("CONN" in entry["name"] for entry in values["env"])


def test_each_secret_is_where_airflow_3_needs_it(values):
    """A task uses the API server, so its pod has none of Airflow's own secrets. The chart passes `jwtSecretName` only
    to scheduler and API server."""
    built_in = values["enableBuiltInSecretEnvVars"]
    assert built_in and not any(built_in.values())
    assert "AIRFLOW__API_AUTH__JWT_SECRET" not in built_in
    assert "secret" not in values, "the chart would give it to every pod"
    database = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": ("airflow-metadata", "connection"),
        "AIRFLOW__CORE__FERNET_KEY": ("airflow-keys", "fernet-key"),
    }
    sessions = {"AIRFLOW__API__SECRET_KEY": ("airflow-keys", "api-secret-key")}
    service = {"AIRFLOW_CONN_R_IRT": ("irt-connections", "AIRFLOW_CONN_R_IRT")}
    seedtest = {"AIRFLOW_CONN_SEEDTEST_DB": ("irt-connections", "AIRFLOW_CONN_SEEDTEST_DB")}
    assert {component: secrets_of(component_of(values, component).get("env", [])) for component in COMPONENTS} == {
        "workers": seedtest | service,
        "triggerer": database | sessions | service,
        "scheduler": database,
        "dagProcessor": database,
        "apiServer": database | sessions,
        "migrateDatabaseJob": database,
        "cleanup": {},
    }
    # They would also go to Celery workers.
    assert set(values["workers"]) == {"kubernetes"}


@pytest.mark.parametrize("component", WAIT)
def test_whoever_needs_the_database_waits_for_its_schema(values, component):
    """The chart's own container for this cannot get the address from a Secret."""
    assert values[component]["waitForMigrations"] == {"enabled": False}
    (container,) = values[component]["extraInitContainers"]
    assert container["args"][:3] == ["airflow", "db", "check-migrations"]
    assert set(secrets_of(container["env"])) == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
    assert container["securityContext"] == values["securityContexts"]["containers"]
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}


def test_users_have_names(values):
    """An approval records who gave it."""
    core = values["config"]["core"]
    assert core["auth_manager"].endswith(".FabAuthManager")
    assert "simple_auth_manager_users" not in core
    assert "apache-airflow-providers-fab==" in (DEPLOY / "airflow" / "requirements.lock").read_text()
    compile(values["apiServer"]["apiServerConfig"], "webserver_config.py", "exec")


def test_probes_and_log_groomers_run_what_the_image_has(values):
    """By default, the chart runs /entrypoint and /clean-logs of Airflow's own image."""
    for component, job in (("scheduler", "Scheduler"), ("triggerer", "Triggerer"), ("dagProcessor", "DagProcessor")):
        probes = [probe for name, probe in values[component].items() if name.endswith("Probe")]
        assert probes
        for probe in probes:
            assert probe["command"][:3] == ["airflow", "jobs", "check"]
            assert {"--local", "--job-type", f"{job}Job"} <= set(probe["command"])
        assert "startupProbe" in values["scheduler"]
        assert values[component]["logGroomerSidecar"]["args"][0] == "bash"


def test_log_groomers_remove_what_is_old(values, tmp_path):
    """The command itself; it would run forever, so the test ends it at its first sleep."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, days in (("old", 4.5), ("new", 2)):
        (logs / name).touch()
        os.utime(logs / name, (time.time() - days * 86_400,) * 2)
    groomer = values["scheduler"]["logGroomerSidecar"]
    (tmp_path / "sleep").write_text('#!/bin/sh\necho "$@"\nkill "$PPID"\n')
    (tmp_path / "sleep").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__LOG_RETENTION_DAYS": str(groomer["retentionDays"]),
        "AIRFLOW__LOG_CLEANUP_FREQUENCY_MINUTES": "15",
    }
    done = subprocess.run(groomer["args"], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "15m\n"
    assert [file.name for file in logs.iterdir()] == ["new"]


def test_settings_are_those_that_the_dags_read(values):
    settings = {entry["name"]: entry["value"] for entry in values["env"]}
    assert all(isinstance(value, str) for value in settings.values())
    code = "\n".join(file.read_text() for folder in ("dags", "plugins") for file in (ROOT / folder).rglob("*.py"))
    for name in settings:
        assert name in code or name.removeprefix("AIRFLOW_VAR_").lower() in code, name
    # Tasks run on different nodes, so a folder on one of them is useless.
    assert not settings["AIRFLOW_VAR_IRT_STAGING"].startswith("file:")


def test_rights(values):
    pod, container = values["securityContexts"]["pod"], values["securityContexts"]["containers"]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert values["multiNamespaceMode"] is False
    # Airflow also writes here, besides its logs; both are limited.
    assert [mount["mountPath"] for mount in values["volumeMounts"]] == ["/tmp"]
    assert [mount["name"] for mount in values["volumeMounts"]] == [volume["name"] for volume in values["volumes"]]
    assert all("sizeLimit" in volume["emptyDir"] for volume in values["volumes"])
    assert "sizeLimit" in values["logs"]["emptyDirConfig"]


def test_the_cluster_knows_only_those_who_ask_it(values):
    without = {"apiServer", "dagProcessor", "migrateDatabaseJob"}
    for component in without:
        assert values[component]["serviceAccount"]["automountServiceAccountToken"] is False
    for component in set(COMPONENTS) - without:
        assert "automountServiceAccountToken" not in component_of(values, component).get("serviceAccount", {})


def test_airflows_network_is_left_to_the_policies_here(builds, values):
    assert values["networkPolicies"]["enabled"] is False
    assert builds["airflow-network"]


def test_every_component_has_resources(values):
    for component in COMPONENTS:
        for which in ("requests", "limits"):
            assert set(component_of(values, component)["resources"][which]) == {"cpu", "memory"}, component


def test_logs_outlive_the_pods(values):
    assert values["executor"] == "KubernetesExecutor"
    assert values["config"]["logging"]["remote_logging"] == "True"


def test_tasks_run_where_the_network_policy_lets_them_in(builds, values):
    """The KubernetesExecutor's pods and the triggerer have these labels in the chart."""
    (rule,) = only(builds["base"], "NetworkPolicy")["spec"]["ingress"]
    (peer,) = rule["from"]
    for component in ("worker", "triggerer"):
        assert selects(peer["podSelector"], {"tier": "airflow", "component": component})
