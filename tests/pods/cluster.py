"""A Kubernetes for the tests: the one-node cluster beside the checkout, or another one named in the environment."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import image
import pytest
import yaml
from kubernetes import client, config
from one_node import BESIDE, one_node

from irt.pods.settings import PodSettings
from local.waiting import wait_until
from tests.deploy.manifests import DEPLOY, kubectl

ROOT = Path(__file__).parents[2]
NAMESPACE: str = PodSettings.model_fields["namespace"].default
AIRFLOW, CLAIM = "airflow", "irt-staging"
_RIGHTS = "irt-calibration-pods"
_ACCOUNTS = ("airflow-worker", "airflow-triggerer")


@dataclass(frozen=True)
class Cluster:
    """:ivar kubeconfig: that of Airflow's worker, with only the rights of deploy/rbac.
    :ivar admin: may do everything.
    :ivar claim: a PersistentVolumeClaim in the namespace.
    :ivar staging: where its files are on this machine.
    """

    kubeconfig: Path
    admin: client.CoreV1Api
    image: str
    namespace: str
    claim: str
    staging: Path


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """:param folder: for the kubeconfig and the staged files; every user must be able to pass through it."""
    if given := os.environ.get("IRT_TEST_KUBECONFIG"):
        staging = Path(os.environ["IRT_TEST_STAGING_FOLDER"])
        claim, name = os.environ["IRT_TEST_STAGING_CLAIM"], os.environ["IRT_TEST_ENGINE_IMAGE"]
        yield _prepared(Path(given), folder, image=name, claim=claim, staging=staging)
        return
    if not BESIDE.exists():
        pytest.skip("no Kubernetes: neither IRT_TEST_KUBECONFIG nor ../shared/kubernetes is there")
    with one_node(folder) as (kubeconfig, state):
        archive, name = image.build(state / "img" / "python", ROOT / ".irt" / "pods")
        subprocess.run([state / "import-image.sh", archive], check=True, stdout=subprocess.DEVNULL)
        staging = folder / "staging"
        staging.mkdir()
        cluster = _prepared(kubeconfig, folder, image=name, claim=CLAIM, staging=staging)
        _bind(cluster)
        yield cluster


def _prepared(admin_config: Path, folder: Path, **rest: Any) -> Cluster:
    """With the namespaces, accounts and rights as deploy/ makes them."""
    core = client.CoreV1Api(config.new_client_from_config(str(admin_config)))
    for namespace in (NAMESPACE, AIRFLOW):
        _made(core.create_namespace, {"metadata": {"name": namespace}})
    for account in _ACCOUNTS:
        _made(core.create_namespaced_service_account, AIRFLOW, {"metadata": {"name": account}})
    # Applied, not created: otherwise the rights of an earlier deploy/rbac would remain.
    apply = [kubectl(), "--kubeconfig", admin_config, "apply", "--server-side", "--force-conflicts", "-k"]
    subprocess.run([*apply, DEPLOY / "rbac"], check=True, capture_output=True)
    _remove_older_rights(client.RbacAuthorizationV1Api(core.api_client))
    # A new namespace accepts no pods until the controllers have made it.
    _wait_until(lambda: "default" in _names(core.list_namespaced_service_account(NAMESPACE)), "its service account")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(_as_worker(core, admin_config)))
    return Cluster(kubeconfig=kubeconfig, admin=core, namespace=NAMESPACE, **rest)


def _remove_older_rights(rights: client.RbacAuthorizationV1Api) -> None:
    """For a cluster older than the namespace of calibrations, as docs/kubernetes.md describes."""
    for binding in rights.list_role_binding_for_all_namespaces(field_selector=f"metadata.name={_RIGHTS}").items:
        if binding.metadata.namespace != NAMESPACE:
            rights.delete_namespaced_role_binding(_RIGHTS, binding.metadata.namespace)
            rights.delete_namespaced_role(_RIGHTS, binding.metadata.namespace)


def _as_worker(core: client.CoreV1Api, admin_config: Path) -> dict[str, Any]:
    """A kubeconfig of the worker's service account, with a token for a day: longer than all tests take."""
    spec = client.V1TokenRequestSpec(audiences=[], expiration_seconds=24 * 3600)
    request = client.AuthenticationV1TokenRequest(spec=spec)
    answer = core.create_namespaced_service_account_token(_ACCOUNTS[0], AIRFLOW, request)
    known = yaml.safe_load(admin_config.read_text())
    server = dict(known["clusters"][0]["cluster"])
    if file := server.pop("certificate-authority", None):
        server["certificate-authority-data"] = base64.b64encode(Path(file).read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": server}],
        "users": [{"name": "worker", "user": {"token": answer.status.token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "worker", "namespace": NAMESPACE}}],
        "current-context": "test",
    }


def _bind(cluster: Cluster) -> None:
    """A volume on this machine's folder, for one claim only; removes the claim of an earlier session."""
    core, name = cluster.admin, f"{CLAIM}-{uuid.uuid4().hex[:8]}"
    core.delete_collection_namespaced_persistent_volume_claim(NAMESPACE, field_selector=f"metadata.name={CLAIM}")
    _wait_until(
        lambda: CLAIM not in _names(core.list_namespaced_persistent_volume_claim(NAMESPACE)),
        "the end of another session, which uses the claim,",
    )
    for volume in core.list_persistent_volume().items:
        if volume.metadata.name.startswith(CLAIM) and volume.status.phase == "Released":
            core.delete_persistent_volume(volume.metadata.name)
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": name}
    volume = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "",
        "hostPath": {"path": str(cluster.staging)}, "claimRef": {"namespace": NAMESPACE, "name": CLAIM},
    }  # fmt: skip
    core.create_persistent_volume({"metadata": {"name": name}, "spec": volume})
    claim = {"metadata": {"name": CLAIM}, "spec": spec | {"resources": {"requests": {"storage": "1Gi"}}}}
    core.create_namespaced_persistent_volume_claim(NAMESPACE, claim)
    _wait_until(
        lambda: core.read_namespaced_persistent_volume_claim(CLAIM, NAMESPACE).status.phase == "Bound", "the claim"
    )


def _wait_until(ready: Callable[[], bool], what: str) -> None:
    """For what the cluster's controllers do soon; there is no sign of progress before."""
    wait_until(ready, what=what, work=lambda: None)


def _made(create: Callable[..., Any], *arguments: Any) -> None:
    """It may exist from an earlier session."""
    try:
        create(*arguments)
    except client.ApiException as error:
        if error.status != 409:
            raise


def _names(found: Any) -> list[str]:
    return [each.metadata.name for each in found.items]
