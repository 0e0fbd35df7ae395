"""One cluster for all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cluster import Cluster, running_cluster
from watching import pods, wait_for_none


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    # The kubelet and the pods must pass through it; pytest's folder admits only its own user.
    for above in (folder, *folder.parents):
        if above == tmp_path_factory.getbasetemp().parent:
            break
        above.chmod(0o755)
    with running_cluster(folder) as running:
        yield running


@pytest.fixture
def settings(cluster, monkeypatch):
    """Sets the variable irt_pods; returns a function that changes it. No pod is left behind."""
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(cluster.kubeconfig)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def change(**fields) -> None:
        volume = {"claim": cluster.claim, "root": str(cluster.staging)}
        variable = {"image": cluster.image, "namespace": cluster.namespace, "volume": volume, "start_seconds": 600}
        monkeypatch.setenv("AIRFLOW_VAR_IRT_PODS", json.dumps(variable | fields))

    change()
    yield change
    for pod in pods(cluster):
        cluster.admin.delete_namespaced_pod(pod.metadata.name, cluster.namespace, grace_period_seconds=0)
    wait_for_none(cluster)
