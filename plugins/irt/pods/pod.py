"""The pod of one calibration: starts it, watches it, and explains its failure. Takes seconds to import."""

from __future__ import annotations

from typing import Any, NoReturn

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from irt.pods.failure import failure_of, never_ran
from irt.pods.manifest import REQUEST_LABEL, container_security, pod_arguments, pod_security
from irt.pods.settings import PodSettings
from irt.run import Run
from irt.triggers.pod import SettledPodTrigger


class CalibrationPod(KubernetesPodOperator):
    """The provider's operator, for a pod without Airflow connections, tokens and Kubernetes credentials.

    A pod that succeeded is removed; one that failed is kept for a while (`irt_daily_check`).

    :param resume: the name of the task's method that continues when the pod has ended.
    :raise PermanentError, TransientError: the pod failed; see `failure`.
    """

    def __init__(
        self, *, run: Run, settings: PodSettings, responses: str, result: str, abilities: str, digest: str,
        resume: str, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            deferrable=True,
            durable=True,
            on_finish_action="delete_succeeded_pod",
            do_xcom_push=False,
            automount_service_account_token=False,
            security_context=pod_security(),
            container_security_context=container_security(),
            termination_message_policy="FallbackToLogsOnError",
            image_pull_policy="IfNotPresent",
            # The engine has nothing to clean up.
            termination_grace_period=5,
            log_events_on_failure=True,
            # It would be the first line of a failure, with everything but the reason.
            log_pod_spec_on_failure=False,
            container_name_log_prefix_enabled=False,
            **pod_arguments(run, settings, responses=responses, result=result, abilities=abilities, digest=digest),
            **kwargs,
        )
        self.run, self.resume = run, resume
        self.name = self._set_name(self.name)

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> None:
        try:
            super().trigger_reentry(context, event)
        except TaskDeferred:
            raise
        except AirflowException as error:
            if never_ran(self.pod):
                self.pod_manager.delete_pod(self.pod)
            raise failure_of(self.run, event["name"], self.pod, str(event.get("message") or error)) from error

    def remove_left(self, context: Any) -> None:
        """Removes a pod that wrote its result after its worker had died. If that fails, `irt_daily_check` does it."""
        try:
            if pod := self.find_pod(self.namespace, context=context):
                self.pod_manager.delete_pod(pod)
        except Exception as error:
            self.log.warning("the finished pod could not be removed: %s", error)

    def defer(
        self, *, trigger: Any, method_name: str, kwargs: dict[str, Any] | None = None, timeout: Any = None
    ) -> NoReturn:
        super().defer(trigger=SettledPodTrigger.of(trigger), method_name=self.resume, kwargs=kwargs, timeout=timeout)

    def _get_pod_from_task_state_store(self, context: Any) -> Any | None:
        """The pod of an earlier try, unless the request has changed since."""
        pod = super()._get_pod_from_task_state_store(context)
        if pod is None or (pod.metadata.labels or {}).get(REQUEST_LABEL) == self.labels[REQUEST_LABEL]:
            return pod
        self.log.warning("pod %s calibrates an earlier request; deleting it", pod.metadata.name)
        self.pod_manager.delete_pod(pod)
        return None
