"""Whether the service or a pod calibrates, the staged result is the same, byte for byte."""

from __future__ import annotations

import json

import pytest
import requests
from pod_tasks import Context, operator, send, staged_run, wait
from watching import versions

from irt.staging import ABILITIES, FIT, ITEMS
from local.waiting import STILL, wait_until

TOKEN = "token-of-the-service-in-a-pod"
POD = {
    "metadata": {"name": "irt-service"},
    "spec": {
        "containers": [
            {
                "name": "service",
                "args": ["serve", "--host", "0.0.0.0", "--port", "8000", "--state-dir", "/tmp/state"],
                "env": [{"name": "IRT_ENGINE_TOKEN", "value": TOKEN}],
            }
        ],
        "restartPolicy": "Never",
    },
}


@pytest.fixture
def service(cluster, monkeypatch):
    """The service from the same image, also in a pod: kernels for another processor may round differently."""
    POD["spec"]["containers"][0]["image"] = cluster.image
    cluster.admin.create_namespaced_pod(cluster.namespace, POD)
    try:
        wait_until(
            lambda: answers(address_of(cluster)), what="the service", check=lambda: not_dead(cluster),
            work=lambda: versions([pod_of(cluster)]),
        )  # fmt: skip
        address = address_of(cluster)
        connection = {"conn_type": "http", "host": address, "port": 8000, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection))
        yield
    finally:
        cluster.admin.delete_namespaced_pod("irt-service", cluster.namespace, grace_period_seconds=0)


def pod_of(cluster):
    return cluster.admin.read_namespaced_pod("irt-service", cluster.namespace)


def address_of(cluster) -> str | None:
    return pod_of(cluster).status.pod_ip


def not_dead(cluster) -> None:
    if pod_of(cluster).status.phase in {"Succeeded", "Failed"}:
        log = cluster.admin.read_namespaced_pod_log("irt-service", cluster.namespace)
        raise AssertionError(f"the service has ended:\n{log[-3000:]}")


def answers(address: str | None) -> bool:
    try:
        return bool(address) and requests.get(f"http://{address}:8000/healthz", timeout=(10, STILL)).ok
    except requests.RequestException:
        return False


def test_the_service_and_a_pod(cluster, settings, service):
    results = []
    for where in ("service", "pod"):
        # One run, staged in two places, because its key is part of the result.
        run = staged_run(cluster.staging / "same" / where, users=3_000, runtime=where)
        context = Context(run)
        deferred = send(run, context)
        event = wait(deferred)
        getattr(operator(run), deferred.method_name)(context, event, **(deferred.kwargs or {}))
        results.append({name: run.staged(name).read_bytes() for name in (ITEMS, ABILITIES, FIT)})
    assert results[0] == results[1]
