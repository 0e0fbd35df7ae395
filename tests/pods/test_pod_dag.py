"""The whole DAG with calibrations in pods: a real Airflow, with the rights of deploy/rbac, on a real Kubernetes."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest
from pod_tasks import pods

from local import demo
from local.home import DATABASE_CONNECTION, SERVICE_CONNECTION, Home
from local.stack import DAG_ID, running_stack
from tests.faults.processes import task_runners

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
DRY = {"banks": ["math"], "dry_run": True}


@pytest.fixture(scope="module")
def stack(cluster):
    """Airflow as on a laptop, with a connection to the cluster; its staging lies on the volume of the pods."""
    volume = {"claim": cluster.claim, "root": str(cluster.staging)}
    variable = {"image": cluster.image, "namespace": cluster.namespace, "volume": volume, "start_seconds": 60}
    kubernetes = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(cluster.kubeconfig)}}
    home = Home(cluster.staging / "airflow").make()
    with pytest.MonkeyPatch.context() as environment, ExitStack() as parts:
        # Other tests' database and service are not this Airflow's.
        for name in (DATABASE_CONNECTION, SERVICE_CONNECTION):
            environment.delenv(name, raising=False)
        running = parts.enter_context(running_stack(home))
        environment.setenv("AIRFLOW_VAR_IRT_PODS", json.dumps(variable))
        environment.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(kubernetes))
        environment.setenv("IRT_RETRY_DELAY", "1")
        environment.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT", "10")
        environment.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL", "1")
        demo.load_data(running)
        running.api = running.start_airflow()
        running.api.pause(DAG_ID, False)
        yield running


def finished(stack, run_id: str, conf: dict) -> dict[tuple[str, int], str]:
    """The states of the run's tasks; it ended well."""
    stack.api.trigger(DAG_ID, run_id, conf)
    assert demo.follow(stack.api, run_id, print, stack.check) == "success"
    return {(t["task_id"], t["map_index"]): t["state"] for t in stack.api.tasks(DAG_ID, run_id)}


def test_both_banks_in_pods(cluster, stack):
    states = finished(stack, "manual__pods", {"runtime": "pod"})
    for bank in (0, 1):
        assert {states[f"bank.{task}", bank] for task in ("calibrate", "load", "check", "publish")} == {"success"}
    with stack.database() as connection:
        assert connection.execute("select count(*) from mirt_item_params").fetchone() == (155,)
    log = log_of(stack, "manual__pods", 1)
    assert "converged after" in log and "Calibration completed successfully" in log
    assert pods(cluster) == []


def test_the_worker_dies_while_its_pod_runs(cluster, stack):
    """Killed where it has asked for its pod and has not yet deferred; the next try goes on with that pod."""
    run_id = "manual__worker"
    stack.api.trigger(DAG_ID, run_id, DRY | {"runtime": "pod"})
    runner = wait_for(lambda: runner_of(stack, run_id), "the task")
    name = wait_for(lambda: [pod.metadata.name for pod in pods(cluster)], "the pod")[0]
    # Its watcher first, so that nobody is told.
    for process in (runner.parent(), runner):
        process.kill()
    assert task_of(stack, run_id)["state"] == "running", "it had deferred already"
    with frozen_pod():
        wait_for(lambda: task_of(stack, run_id)["state"] == "deferred", "the next try")
    assert demo.follow(stack.api, run_id, print, stack.check) == "success"
    task = task_of(stack, run_id)
    assert task["try_number"] > 1
    assert f"Reusing existing pod '{name}'" in log_of(stack, run_id)
    assert pods(cluster) == []


@pytest.mark.parametrize("by", ["the run", "the task"])
def test_what_is_failed_by_hand_takes_its_pod_with_it(cluster, stack, by):
    run_id = f"manual__killed-{by.split()[1]}"
    stack.api.trigger(DAG_ID, run_id, DRY | {"runtime": "pod"})
    with frozen_pod():
        # Nobody would be told before the triggerer has taken over (docs/kubernetes.md).
        wait_for(lambda: "Checking pod" in log_of(stack, run_id), "the trigger")
        if by == "the run":
            stack.api.fail(DAG_ID, run_id)
        else:
            path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/bank.calibrate/0"
            stack.api.call("PATCH", path, json={"new_state": "failed"})
        ending = wait_for(lambda: [pod for pod in pods(cluster) if pod.metadata.deletion_timestamp], "its deletion")
        assert len(ending) == 1
    wait_for(lambda: not pods(cluster), "the end of the pod")
    wait_for(lambda: run_id not in stack.api.active_runs(DAG_ID), "the end of the run")


@contextmanager
def frozen_pod():
    """The engine of the pod that is about to start does nothing in the block: it runs on this machine's node."""

    def engine():
        commands = {process: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}
        return [process for process, command in commands.items() if "/in/responses.parquet" in command]

    if "IRT_TEST_KUBECONFIG" in os.environ:
        pytest.skip("the pod's process is not to be seen here: it runs on another machine")
    frozen = wait_for(engine, "the engine in the pod")
    for process in frozen:
        process.suspend()
    try:
        yield
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def wait_for(found, what: str):
    """What is found; looked for as often as the machine can, since it may last for a moment only."""
    deadline = time.monotonic() + 120
    while not (value := found()):
        assert time.monotonic() < deadline, what
    return value


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
