"""The cluster is as the other tests expect: only the worker's rights, a volume, the engine's image."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from watching import versions

from local.waiting import wait_until

_IMAGE_USER = 10001
# verb, resource, subresource, namespace as in deploy/
MAY = [
    ("create", "pods", "", "irt-calibrations"),
    ("get", "pods", "", "irt-calibrations"),
    ("delete", "pods", "", "irt-calibrations"),
    ("get", "pods", "log", "irt-calibrations"),
]
MAY_NOT = [
    ("create", "pods", "exec", "irt-calibrations"),
    ("get", "pods", "exec", "irt-calibrations"),
    ("get", "secrets", "", "irt-calibrations"),
    ("list", "secrets", "", "irt-calibrations"),
    # Where the calibration service runs.
    ("create", "pods", "", "seedtest"),
    ("delete", "pods", "", "seedtest"),
    ("create", "pods", "", "airflow"),
    ("get", "pods", "", "airflow"),
    ("create", "pods", "", "default"),
    ("list", "pods", "", ""),
]


@pytest.fixture(scope="module")
def worker(cluster) -> client.ApiClient:
    """A client with the rights of Airflow's worker."""
    return config.new_client_from_config(str(cluster.kubeconfig))


@pytest.mark.parametrize(
    ("asked", "allowed"), [(asked, True) for asked in MAY] + [(asked, False) for asked in MAY_NOT], ids=str
)
def test_rights_of_the_worker(cluster, worker, asked, allowed):
    verb, resource, subresource, deployed = asked
    namespace = {"irt-calibrations": cluster.namespace, "airflow": cluster.airflow}.get(deployed, deployed)
    attributes = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": namespace}
    review = {"spec": {"resourceAttributes": attributes}}
    answer = client.AuthorizationV1Api(worker).create_self_subject_access_review(review)
    assert answer.status.allowed is allowed


def test_what_is_refused_is_refused_to_the_worker(cluster, worker):
    """A real request; the refusal names the account."""
    core = client.CoreV1Api(worker)
    for refused in (
        lambda: core.list_namespaced_secret(cluster.namespace),
        lambda: core.create_namespaced_pod(cluster.airflow, pod("any", "any:1", "any")),
        lambda: core.list_namespaced_pod("default"),
    ):
        with pytest.raises(client.ApiException) as error:
            refused()
        assert error.value.status == 403
        assert f"system:serviceaccount:{cluster.airflow}:airflow-worker" in json.loads(error.value.body)["message"]


def test_the_kubeconfig_is_its_owners_alone(cluster):
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_a_calibration_with_no_rights_to_spare(cluster, worker):
    """With the engine's command in the engine's image; the worker makes the pod, reads its log and removes it."""
    name = f"smoke-{uuid.uuid4().hex[:8]}"
    folder = cluster.staging / name
    results = folder / "results"
    results.mkdir(parents=True)
    results.chmod(0o1777)
    simulate(folder / "x.parquet")
    core = client.CoreV1Api(worker)
    core.create_namespaced_pod(cluster.namespace, pod(name, cluster.image, cluster.claim))
    try:
        phase = ended(core, name, cluster.namespace)
        log = core.read_namespaced_pod_log(name, cluster.namespace)
    finally:
        core.delete_namespaced_pod(name, cluster.namespace, grace_period_seconds=0)
    assert phase == "Succeeded", log
    assert "converged after" in log
    result = results / "result.json"
    assert len(json.loads(result.read_text())["item_params"]) == 10
    assert result.stat().st_uid == _IMAGE_USER


def simulate(answers: Path) -> None:
    engine = Path(sys.executable).with_name("irt-engine")
    subprocess.run([engine, "simulate", "--users", "200", "--items", "10", "--out", answers], check=True)
    answers.chmod(0o644)


def ended(core: client.CoreV1Api, name: str, namespace: str) -> str:
    def looked_at() -> client.V1Pod:
        return core.read_namespaced_pod(name, namespace)

    wait_until(
        lambda: looked_at().status.phase in {"Succeeded", "Failed"},
        what=lambda: f"the end of {looked_at().status}", work=lambda: versions([looked_at()]),
    )  # fmt: skip
    return looked_at().status.phase


def pod(name: str, image: str, claim: str) -> dict[str, Any]:
    """As restricted as Kubernetes allows; with arguments and no command, like the operator's pod. The volume's folder
    has the same name.
    """
    user = {"runAsNonRoot": True, "runAsUser": _IMAGE_USER, "runAsGroup": _IMAGE_USER}
    rights = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "base",
        "image": image,
        "args": ["calibrate", "/in/x.parquet", "--out", "/out/result.json"],
        "securityContext": rights,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "staging", "mountPath": "/in", "subPath": name, "readOnly": True},
            {"name": "staging", "mountPath": "/out", "subPath": f"{name}/results"},
        ],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": user | {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "staging", "persistentVolumeClaim": {"claimName": claim}},
        ],
    }
    return {"metadata": {"name": name}, "spec": spec}
