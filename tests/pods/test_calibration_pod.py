"""Calibrations in pods of a real Kubernetes: success, and every way in which a pod can fail."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import TaskDeferred
from pod_tasks import Context, go_on, operator, send, stage_responses, staged_run, wait, whole
from watching import frozen_pod, pods, wait_for, wait_for_none

from irt.errors import CalibrationFailedError, TransientError
from irt.operators.pod_removal import RemovePodsOperator
from irt.staging import ABILITIES, FIT, ITEMS


def phase(cluster) -> list[str]:
    return [pod.status.phase for pod in pods(cluster)]


def waiting_for(cluster) -> set[str]:
    """Why pods do not run, as Kubernetes says."""
    statuses = [pod.status for pod in pods(cluster)]
    states = [container.state for status in statuses for container in status.container_statuses or []]
    conditions = [condition for status in statuses for condition in status.conditions or []]
    return {state.waiting.reason for state in states if state.waiting} | {each.reason for each in conditions}


def test_a_calibration_and_its_log(cluster, settings, capsys):
    run = staged_run(cluster.staging / "good")
    told = whole(run, Context(run))
    assert (told["items"], told["abilities"], told["converged"]) == (20, 500, True)
    assert all(run.staged(name).exists() for name in (ITEMS, ABILITIES, FIT))
    log = capsys.readouterr().out
    assert "converged after" in log, "the pod's own log"
    assert "Calibration completed successfully: 20 items, 500 abilities" in log
    assert pods(cluster) == []


@pytest.mark.fault("worker killed", "calibrate, pod", "the next try goes on with the same pod")
def test_a_retry_finds_the_pod_of_the_worker_that_died(cluster, settings):
    run, store = staged_run(cluster.staging / "reattach"), {}
    first = send(run, Context(run, store))
    # On a busy machine, it would have its result before the next request.
    with frozen_pod(cluster):
        # The worker is gone; its next try is another process, which knows only what Airflow and Kubernetes have kept.
        second = send(run, Context(run, store, try_number=2))
        assert second.trigger.pod_name == first.trigger.pod_name
        assert len(pods(cluster)) == 1
        # Even if Airflow kept nothing.
        third = send(run, Context(run, {}, try_number=3))
        assert third.trigger.pod_name == first.trigger.pod_name
    go_on(run, Context(run, store, try_number=3), third, wait(third))


def test_a_result_that_is_there_needs_no_other_pod(cluster, settings):
    run = staged_run(cluster.staging / "again")
    first = whole(run, Context(run))
    before = {name: run.staged(name).read_bytes() for name in (ITEMS, ABILITIES, FIT)}
    assert operator(run).execute(Context(run, try_number=2)) == first
    assert {name: run.staged(name).read_bytes() for name in before} == before
    assert pods(cluster) == []


@pytest.mark.fault("extracted again while the pod runs", "calibrate, pod", "another pod; the first one is removed")
def test_a_pod_of_an_earlier_extraction_is_not_taken(cluster, settings):
    run, store = staged_run(cluster.staging / "changed"), {}
    first = send(run, Context(run, store))
    stage_responses(run, users=400)
    second = send(run, Context(run, store, try_number=2))
    assert second.trigger.pod_name != first.trigger.pod_name
    assert go_on(run, Context(run, store, try_number=2), second, wait(second))["abilities"] == 400
    # The first one's result is no longer needed.
    wait_for_none(cluster)


@pytest.mark.fault("data that cannot be calibrated", "calibrate, pod", "failed at once, the pod is kept for inspection")
def test_data_that_cannot_be_calibrated(cluster, settings):
    run = staged_run(cluster.staging / "hopeless", always_right=True)
    with pytest.raises(CalibrationFailedError, match=r"pod irt-math-\w+ of bank math: irt-engine: .*"):
        whole(run, Context(run))
    # Kept for inspection, and not taken for a running pod.
    assert phase(cluster) == ["Failed"]
    send(run, Context(run, try_number=2))
    assert len(pods(cluster)) == 2


@pytest.mark.fault("out of memory", "calibrate, pod", "failed at once, says what to raise")
def test_too_little_memory(cluster, settings):
    run = staged_run(cluster.staging / "memory", pod={"memory": "40Mi"})
    with pytest.raises(CalibrationFailedError, match="needs more memory than 40Mi: raise pod.memory of the bank"):
        whole(run, Context(run))


@pytest.mark.fault("does not end", "calibrate, pod", "ended at its limit, failed")
def test_too_little_time(cluster, settings):
    run = staged_run(cluster.staging / "time", pod={"minutes": 1})
    context = Context(run)
    deferred = send(run, context)
    with frozen_pod(cluster), pytest.raises(CalibrationFailedError, match="did not end within 1 minutes"):
        go_on(run, context, deferred, wait(deferred))
    assert phase(cluster) == ["Failed"]


@pytest.mark.fault("image cannot be pulled", "calibrate, pod", "retried, the pod is removed")
def test_an_image_that_cannot_be_pulled(cluster, settings):
    settings(image="irt-engine:is-not-there", start_seconds=10)
    run = staged_run(cluster.staging / "image")
    context = Context(run)
    deferred = send(run, context)
    # Its seconds to start are counted only from then.
    wait_for(cluster, lambda: {"ErrImagePull", "ImagePullBackOff"} & waiting_for(cluster), "a failed pull")
    with pytest.raises(TransientError, match=r"could not start: (ErrImagePull|ImagePullBackOff)"):
        go_on(run, context, deferred, wait(deferred))
    wait_for_none(cluster)


@pytest.mark.fault("no room on any node", "calibrate, pod", "retried, the pod is removed")
def test_a_pod_for_which_there_is_no_node(cluster, settings):
    settings(start_seconds=5)
    run = staged_run(cluster.staging / "pending", pod={"cpu": 200})
    context = Context(run)
    deferred = send(run, context)
    wait_for(cluster, lambda: "Unschedulable" in waiting_for(cluster), "the scheduler's answer")
    with pytest.raises(TransientError, match="did not start: Unschedulable: .*Insufficient cpu"):
        go_on(run, context, deferred, wait(deferred))
    wait_for_none(cluster)


@pytest.mark.fault("pod deleted, or its node lost", "calibrate, pod", "success at try 2")
def test_a_pod_that_is_deleted_from_outside(cluster, settings):
    run = staged_run(cluster.staging / "deleted")
    deferred = send(run, Context(run))
    with frozen_pod(cluster):
        cluster.admin.delete_namespaced_pod(deferred.trigger.pod_name, cluster.namespace, grace_period_seconds=0)
        event = wait(deferred)
    with pytest.raises(TransientError, match="is gone: deleted from outside, or lost with its node"):
        go_on(run, Context(run), deferred, event)
    assert whole(run, Context(run, try_number=2))["items"] == 20


@pytest.mark.fault("task killed", "calibrate, pod", "the pod is removed")
def test_a_task_that_is_killed_takes_its_pod_with_it(cluster, settings):
    run = staged_run(cluster.staging / "killed")
    task = operator(run)
    with pytest.raises(TaskDeferred):
        task.execute(Context(run))
    task.on_kill()
    wait_for_none(cluster)


def test_pods_that_failed_are_removed_in_time(cluster, settings):
    run = staged_run(cluster.staging / "old", always_right=True)
    with pytest.raises(CalibrationFailedError):
        whole(run, Context(run))
    now = datetime.now(timezone.utc)

    def removed(at: datetime) -> list[str]:
        return RemovePodsOperator(task_id="remove_pods").execute({"dag_run": SimpleNamespace(run_after=at)})

    assert removed(now + timedelta(hours=23)) == []
    assert len(removed(now + timedelta(hours=25))) == 1
    wait_for_none(cluster)
