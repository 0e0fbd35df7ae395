"""A Kubernetes for the tests: the one-node cluster beside the checkout, or one that the environment names.

Everything is made in namespaces of this session, and removed with them. Only the volume is not in a namespace.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import image
import pytest
import yaml
from kubernetes import client, config
from named_cluster import IMAGE, KUBECONFIG, STAGING, ClusterRefusedError, NamedCluster, named_cluster, server_of
from one_node import BESIDE, one_node

from local.waiting import wait_until
from tests.deploy.manifests import DEPLOY, build, kubectl

ROOT = Path(__file__).parents[2]
CLAIM = "irt-staging"
_PREFIX = "irt-tests-"
_ACCOUNTS = ("airflow-worker", "airflow-triggerer")
_NOT_PULLED = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})


@dataclass(frozen=True)
class Cluster:
    """:ivar kubeconfig: that of Airflow's worker, with only the rights of deploy/rbac.
    :ivar admin: may do everything.
    :ivar kubectl: the command, with an administrator's rights.
    :ivar namespace: of calibration pods.
    :ivar airflow: the namespace of Airflow's accounts.
    :ivar claim: a PersistentVolumeClaim in the namespace.
    :ivar staging: where its files are on this machine.
    """

    kubeconfig: Path
    admin: client.CoreV1Api
    kubectl: tuple[str | Path, ...]
    image: str
    namespace: str
    airflow: str
    claim: str
    staging: Path

    def may_freeze(self) -> bool:
        """Whether the pods' processes can be suspended here: nodes of kind share this machine's kernel."""
        boot = Path("/proc/sys/kernel/random/boot_id")
        if os.geteuid() or not boot.exists():
            return False
        nodes = self.admin.list_node().items
        return all(node.status.node_info.boot_id == boot.read_text().strip() for node in nodes)


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """:param folder: for the kubeconfig and the staged files; every user must be able to pass through it."""
    if named := named_cluster(os.environ):
        with _session(named, folder) as cluster:
            _look_in(cluster)
            yield cluster
        return
    if not BESIDE.exists():
        pytest.skip(f"no Kubernetes: {KUBECONFIG} names none (see CONTRIBUTING.md), and ../shared/kubernetes is absent")
    with one_node(folder) as (kubeconfig, state):
        archive, name = image.build(state / "img" / "python", ROOT / ".irt" / "pods")
        subprocess.run([state / "import-image.sh", archive], check=True, stdout=subprocess.DEVNULL)
        context = yaml.safe_load(kubeconfig.read_text())["current-context"]
        given = NamedCluster(kubeconfig, context, name, folder)
        # Only one session at a time uses it: what is there is of one that was killed.
        for left in _sessions(_admin(given)):
            _remove(_admin(given), left)
        with _session(given, folder) as cluster:
            yield cluster


@contextmanager
def _session(given: NamedCluster, folder: Path) -> Iterator[Cluster]:
    """The cluster with namespaces, accounts, rights and a volume for this session.

    :param folder: for the worker's kubeconfig.
    """
    name = f"{_PREFIX}{uuid.uuid4().hex[:8]}"
    core, staging = _admin(given), given.staging / name
    staging.mkdir()
    staging.chmod(0o755)
    try:
        yield _prepared(given, core, name, kubeconfig=folder / "kubeconfig", staging=staging)
    finally:
        _remove(core, name)
        shutil.rmtree(staging, ignore_errors=True)


def _prepared(given: NamedCluster, core: client.CoreV1Api, name: str, *, kubeconfig: Path, staging: Path) -> Cluster:
    airflow = f"{name}-airflow"
    command = (kubectl(), "--kubeconfig", given.kubeconfig, "--context", given.context)
    for namespace in (name, airflow):
        core.create_namespace({"metadata": {"name": namespace}})
    for account in _ACCOUNTS:
        core.create_namespaced_service_account(airflow, {"metadata": {"name": account}})
    rights = yaml.safe_dump_all(moved(build(DEPLOY / "rbac"), {"irt-calibrations": name, "airflow": airflow}))
    subprocess.run([*command, "apply", "-f", "-"], input=rights, text=True, check=True, capture_output=True)
    # A new namespace accepts no pods until the controllers have made it.
    _wait_until(lambda: "default" in _names(core.list_namespaced_service_account(name)), "its service account")
    _bind(core, name, staging)
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(_as_worker(given, core, name, airflow)))
    return Cluster(kubeconfig, core, command, given.image, name, airflow, CLAIM, staging)


def moved(found: Any, namespaces: dict[str, str]) -> Any:
    """The same manifests with other namespaces."""
    if isinstance(found, list):
        return [moved(each, namespaces) for each in found]
    if not isinstance(found, dict):
        return found
    return {
        key: namespaces[value] if key == "namespace" else moved(value, namespaces) for key, value in found.items()
    }  # fmt: skip


def _as_worker(given: NamedCluster, core: client.CoreV1Api, namespace: str, airflow: str) -> dict[str, Any]:
    """A kubeconfig of the worker's service account, with a token for a day: longer than all tests take."""
    spec = client.V1TokenRequestSpec(audiences=[], expiration_seconds=24 * 3600)
    request = client.AuthenticationV1TokenRequest(spec=spec)
    answer = core.create_namespaced_service_account_token(_ACCOUNTS[0], airflow, request)
    server = server_of(given.kubeconfig, given.context)
    if file := server.pop("certificate-authority", None):
        authority = given.kubeconfig.parent / file
        server["certificate-authority-data"] = base64.b64encode(authority.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": server}],
        "users": [{"name": "worker", "user": {"token": answer.status.token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "worker", "namespace": namespace}}],
        "current-context": "test",
    }


def _bind(core: client.CoreV1Api, name: str, staging: Path) -> None:
    """A volume on this machine's folder, for one claim only."""
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": name}
    volume = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "",
        "hostPath": {"path": str(staging)}, "claimRef": {"namespace": name, "name": CLAIM},
    }  # fmt: skip
    core.create_persistent_volume({"metadata": {"name": name}, "spec": volume})
    claim = {"metadata": {"name": CLAIM}, "spec": spec | {"resources": {"requests": {"storage": "1Gi"}}}}
    core.create_namespaced_persistent_volume_claim(name, claim)
    _wait_until(lambda: core.read_namespaced_persistent_volume_claim(CLAIM, name).status.phase == "Bound", "the claim")


def _look_in(cluster: Cluster) -> None:
    """Starts a pod that looks for a file of the staging folder, because every other test would only time out.

    :raise ClusterRefusedError: the image is not on the node, or the node does not see the folder.
    """
    core, name = cluster.admin, "look-in"
    (cluster.staging / name).write_text("seen")
    container = {
        "name": "base", "image": cluster.image, "command": ["cat", f"/in/{name}"],
        "volumeMounts": [{"name": "staging", "mountPath": "/in", "readOnly": True}],
    }  # fmt: skip
    volume = {"name": "staging", "persistentVolumeClaim": {"claimName": cluster.claim}}
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}
    core.create_namespaced_pod(cluster.namespace, {"metadata": {"name": name}, "spec": spec})

    def status() -> Any:
        return core.read_namespaced_pod(name, cluster.namespace).status

    def waits_for() -> set[str]:
        states = [each.state.waiting for each in status().container_statuses or []]
        return {waiting.reason for waiting in states if waiting}

    _wait_until(lambda: status().phase in {"Succeeded", "Failed"} or waits_for() & _NOT_PULLED, "a pod")
    if refused := waits_for() & _NOT_PULLED:
        raise ClusterRefusedError(
            f"{IMAGE}: {cluster.image!r} is not on the node and cannot be pulled ({refused.pop()})"
        )
    if status().phase != "Succeeded":
        raise ClusterRefusedError(f"{STAGING}: the node does not see {str(cluster.staging)!r}: see CONTRIBUTING.md")
    core.delete_namespaced_pod(name, cluster.namespace, grace_period_seconds=0)


def _sessions(core: client.CoreV1Api) -> set[str]:
    """The names of all sessions that have left something."""
    found = _names(core.list_namespace()) + _names(core.list_persistent_volume())
    return {name.removesuffix("-airflow") for name in found if name.startswith(_PREFIX)}


def _remove(core: client.CoreV1Api, name: str) -> None:
    """Removes what a session made, and waits until it is gone."""
    removals = [(core.delete_namespace, name), (core.delete_namespace, f"{name}-airflow")]
    for remove, what in [*removals, (core.delete_persistent_volume, name)]:
        with suppress(client.ApiException):
            remove(what)
    _wait_until(lambda: name not in _sessions(core), f"the removal of {name}")


def _admin(given: NamedCluster) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(given.kubeconfig), context=given.context))


def _wait_until(ready: Callable[[], Any], what: str) -> None:
    """For what the cluster's controllers do soon; there is no sign of progress before."""
    wait_until(ready, what=what, work=lambda: None)


def _names(found: Any) -> list[str]:
    return [each.metadata.name for each in found.items]
