"""The whole DAG with calibrations in pods: a real Airflow, with the rights of deploy/rbac, on a real Kubernetes."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from kubernetes.client import ApiClient
from watching import frozen_pod, pods, versions, wait_for, works

from local import demo
from local.home import DATABASE_CONNECTION, SERVICE_CONNECTION, Home
from local.stack import DAG_ID, running_stack
from local.waiting import wait_until
from tests.faults.processes import task_runners

pytestmark = pytest.mark.e2e
DRY = {"banks": ["math"], "dry_run": True}


@pytest.fixture(scope="module")
def stack(cluster, own_airflow):
    """Airflow as on a laptop, with a connection to the cluster; its staging is on the pods' volume."""
    volume = {"claim": cluster.claim, "root": str(cluster.staging)}
    variable = {"image": cluster.image, "namespace": cluster.namespace, "volume": volume, "start_seconds": 600}
    kubernetes = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(cluster.kubeconfig)}}
    home = Home(cluster.staging / "airflow").make()
    with pytest.MonkeyPatch.context() as environment, ExitStack() as parts:
        # This Airflow does not use the database and service of other tests.
        for name in (DATABASE_CONNECTION, SERVICE_CONNECTION):
            environment.delenv(name, raising=False)
        running = parts.enter_context(running_stack(home))
        environment.setenv("AIRFLOW_VAR_IRT_PODS", json.dumps(variable))
        environment.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(kubernetes))
        environment.setenv("IRT_CALIBRATION_POOL", "irt_calibrations")
        environment.setenv("IRT_RETRY_DELAY", "1")
        environment.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL", "1")
        demo.load_data(running)
        running.api = running.start_airflow()
        running.api.call("POST", "pools", json={"name": "irt_calibrations", "slots": 1, "include_deferred": True})
        running.api.pause(DAG_ID, False)
        yield running


@pytest.fixture(scope="module")
def both_banks(cluster, stack) -> tuple[dict[tuple[str, int], str], list[int], str]:
    """A run of both banks in pods: the states of its tasks, how many pods were working at each look, and their complete
    specifications.
    """
    at_once, told = [], ""

    def ended() -> bool:
        nonlocal told
        there = pods(cluster)
        # The pool admits the next calibration as soon as a pod has ended; the task removes the pod a moment later.
        at_once.append(sum(map(works, there)))
        told += json.dumps(ApiClient().sanitize_for_serialization(there))
        return stack.api.run_state(DAG_ID, "manual__pods") in {"success", "failed"}

    stack.api.trigger(DAG_ID, "manual__pods", {"runtime": "pod"})
    wait_until(
        ended, what="the end of the run", work=lambda: (stack.work(), versions(pods(cluster))), check=stack.check
    )  # fmt: skip
    assert stack.api.run_state(DAG_ID, "manual__pods") == "success"
    states = {(t["task_id"], t["map_index"]): t["state"] for t in stack.api.tasks(DAG_ID, "manual__pods")}
    return states, at_once, told


def test_both_banks_in_pods(cluster, stack, both_banks):
    states = both_banks[0]
    for bank in (0, 1):
        assert {states[f"bank.{task}", bank] for task in ("calibrate", "load", "check", "publish")} == {"success"}
    with stack.database() as connection:
        assert connection.execute("select count(*) from mirt_item_params").fetchone() == (155,)
    log = log_of(stack, "manual__pods", 1)
    assert "converged after" in log and "Calibration completed successfully" in log
    assert pods(cluster) == []


def test_the_pool_limits_the_pods(both_banks):
    assert max(both_banks[1]) == 1


def test_pods_are_told_no_secret_and_nothing_of_airflow(stack, both_banks):
    told = both_banks[2]
    assert "/in/responses.parquet" in told
    for secret in stack.home.secrets().values():
        assert secret not in told
    assert "AIRFLOW_" not in told


@pytest.mark.fault("worker and its watcher killed", "calibrate, pod", "the next try goes on with the same pod")
def test_the_worker_dies_while_its_pod_runs(cluster, stack):
    """Killed after requesting its pod and before deferring; the next try continues with that pod."""
    run_id = "manual__worker"
    stack.api.trigger(DAG_ID, run_id, DRY | {"runtime": "pod"})
    watched = {"work": stack.work, "check": stack.check}
    runner = wait_for(cluster, lambda: runner_of(stack, run_id), "the task", **watched)
    name = wait_for(cluster, lambda: [pod.metadata.name for pod in pods(cluster)], "the pod", **watched)[0]
    # Its supervisor first, so that nobody is notified.
    for process in (runner.parent(), runner):
        process.kill()
    task = task_of(stack, run_id)
    assert task["state"] == "running", "it had deferred already"
    stack.bury_tasks(task["id"])
    with frozen_pod(cluster, **watched):
        wait_for(cluster, lambda: task_of(stack, run_id)["state"] == "deferred", "the next try", **watched)
    assert demo.follow(stack, run_id, print) == "success"
    task = task_of(stack, run_id)
    assert task["try_number"] > 1
    assert f"Reusing existing pod '{name}'" in log_of(stack, run_id)
    assert pods(cluster) == []


@pytest.mark.fault("failed by hand", "calibrate, pod", "the pod is removed")
@pytest.mark.parametrize("by", ["the run", "the task"])
def test_what_is_failed_by_hand_takes_its_pod_with_it(cluster, stack, by):
    run_id = f"manual__killed-{by.split()[1]}"
    stack.api.trigger(DAG_ID, run_id, DRY | {"runtime": "pod"})
    watched = {"work": stack.work, "check": stack.check}
    with frozen_pod(cluster, **watched):
        # Before the triggerer has taken over, nobody would be notified (docs/kubernetes.md).
        wait_for(cluster, lambda: "Checking pod" in log_of(stack, run_id), "the trigger", **watched)
        assert len(pods(cluster)) == 1
        if by == "the run":
            stack.api.fail(DAG_ID, run_id)
        else:
            path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/bank.calibrate/0"
            stack.api.call("PATCH", path, json={"new_state": "failed"})
        # It cannot end by itself.
        wait_for(
            cluster, lambda: all(pod.metadata.deletion_timestamp for pod in pods(cluster)), "its deletion", **watched
        )  # fmt: skip
    wait_for(cluster, lambda: not pods(cluster), "the end of the pod", **watched)
    wait_for(cluster, lambda: run_id not in stack.api.active_runs(DAG_ID), "the end of the run", **watched)


def runner_of(stack, run_id: str):
    task = task_of(stack, run_id)
    runners = task_runners(task["id"]) if task and task["state"] == "running" else []
    return runners[0] if runners else None


def log_of(stack, run_id: str, map_index: int = 0) -> str:
    task = task_of(stack, run_id, map_index)
    return "\n".join(stack.api.log(DAG_ID, run_id, task)) if task and task["try_number"] else ""


def task_of(stack, run_id: str, map_index: int = 0) -> dict | None:
    found = [
        task for task in stack.api.tasks(DAG_ID, run_id)
        if (task["task_id"], task["map_index"]) == ("bank.calibrate", map_index)
    ]  # fmt: skip
    return found[0] if found else None
