"""Whether the service or a pod calibrates, the staged result is the same, byte for byte."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pod_tasks import Context, operator, send, staged_run, wait
from watching import versions

from irt.staging import ABILITIES, FIT, ITEMS
from local.waiting import wait_until

TOKEN = "token-of-the-service-in-a-pod"
POD = {
    "metadata": {"name": "irt-service"},
    "spec": {
        "containers": [
            {
                "name": "service",
                "args": ["serve", "--host", "0.0.0.0", "--port", "8000", "--state-dir", "/tmp/state"],
                "env": [{"name": "IRT_ENGINE_TOKEN", "value": TOKEN}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8000}, "periodSeconds": 1},
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
            lambda: ready(pod_of(cluster)), what="the service", check=lambda: not_dead(cluster),
            work=lambda: versions([pod_of(cluster)]),
        )  # fmt: skip
        with forwarded(cluster) as port:
            connection = {"conn_type": "http", "host": "127.0.0.1", "port": port, "password": TOKEN}
            monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection))
            yield
    finally:
        cluster.admin.delete_namespaced_pod("irt-service", cluster.namespace, grace_period_seconds=0)


def pod_of(cluster):
    return cluster.admin.read_namespaced_pod("irt-service", cluster.namespace)


@contextmanager
def forwarded(cluster) -> Iterator[int]:
    """A port of this machine that leads to the service, because pods of kind have no address here.

    kubectl ends at the first connection that the pod refuses, so the service must be ready.
    """
    forward = [*cluster.kubectl, "-n", cluster.namespace, "port-forward", "--address=127.0.0.1"]
    with subprocess.Popen([*forward, "pod/irt-service", ":8000"], stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            forwarding = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
            assert forwarding, line
            yield int(forwarding[1])
        finally:
            process.terminate()


def ready(pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or [])


def not_dead(cluster) -> None:
    if pod_of(cluster).status.phase in {"Succeeded", "Failed"}:
        log = cluster.admin.read_namespaced_pod_log("irt-service", cluster.namespace)
        raise AssertionError(f"the service has ended:\n{log[-3000:]}")


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
