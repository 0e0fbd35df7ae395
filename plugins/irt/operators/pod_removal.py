"""The task of the daily check that removes old pods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from irt.operators.base import KUBERNETES
from irt.pods.settings import SELECTOR, load_pod_settings

_ENDED = frozenset({"Succeeded", "Failed"})


class RemovePodsOperator(BaseOperator):
    """Removes pods of calibrations that ended longer ago than `keep_failed_hours` of the variable `irt_pods`.

    :param kubernetes_conn_id: the Airflow connection of the cluster; if it does not exist, the worker's own cluster.
    :return: the names of the pods.
    :raise AirflowSkipException: the variable is not set: there are no pods here.
    """

    template_fields: Sequence[str] = ("kubernetes_conn_id",)

    def __init__(self, *, kubernetes_conn_id: str = KUBERNETES, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kubernetes_conn_id = kubernetes_conn_id

    def execute(self, context: Any) -> list[str]:
        settings = load_pod_settings()
        if settings is None:
            raise AirflowSkipException("no calibration runs in a pod here")
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

        client = KubernetesHook(conn_id=self.kubernetes_conn_id).core_v1_client
        before = context["dag_run"].run_after - timedelta(hours=settings.keep_failed_hours)
        pods = client.list_namespaced_pod(settings.namespace, label_selector=SELECTOR).items
        old = [pod.metadata.name for pod in pods if pod.status.phase in _ENDED and _ended_at(pod) < before]
        for name in old:
            _delete(client, name, settings.namespace)
        self.log.info("Removed %s of %s pods: %s", len(old), len(pods), old)
        return old


def _ended_at(pod: Any) -> datetime:
    states = [container.state for container in pod.status.container_statuses or []]
    ends = [state.terminated.finished_at for state in states if state.terminated and state.terminated.finished_at]
    # A pod evicted before it started has no terminated container.
    ended: datetime = max(ends, default=pod.metadata.creation_timestamp)
    return ended


def _delete(client: Any, name: str, namespace: str) -> None:
    from kubernetes.client.exceptions import ApiException

    try:
        client.delete_namespaced_pod(name, namespace)
    except ApiException as error:
        # Already deleted by somebody else.
        if error.status != 404:
            raise
