"""The task that has a bank calibrated: by the calibration service, or in a pod."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.http.operators.http import HttpOperator

from irt.errors import BadDataError, CalibrationFailedError, RequestRefusedError, TransientError
from irt.hooks.calibration import CalibrationHook
from irt.operators.base import KUBERNETES, SERVICE
from irt.operators.extract import RESPONSES
from irt.pods.calibration import PodCalibration
from irt.request import Accepts, idempotency_key, staged_settings, write_body
from irt.run import Run
from irt.staged_result import stage_result
from irt.triggers.calibration import CalibrationJobTrigger

_ENDPOINT = "irt/calibrate"
_LARGEST_IN_MEMORY = 1 << 20
# Seconds in which a service that knows jobs must have read and checked a request.
_LONGEST_SUBMISSION = 300.0


class CalibrateOperator(HttpOperator):
    """Sends the staged responses to the calibration service and stages its result; a bank with `runtime: pod` is
    calibrated in a pod of its own instead (see `PodCalibration`), with the same result.

    The request goes out from the worker, once: with `Prefer: respond-async` and an `Idempotency-Key`, so that a
    worker that dies finds the same job again. While the job runs the task is deferred (no worker waits); a service
    that answers `200` at once, as the one in production does today, is served as well. When the task is killed,
    the job is cancelled, or the pod removed.

    :param run: the run, as `irt.run.Run.to_dict` gives it. (templated)
    :param kubernetes_conn_id: the Airflow connection of the pods' cluster; where it is not there, the cluster that the
        worker is in. (templated)
    :param poll_interval: longest pause between two looks at the job, in seconds.
    :param calibration_timeout: how long a calibration may take.
    :return: the figures of the fit, small enough for XCom.
    :raise RequestRefusedError: the service refused the request (4xx); not retried.
    :raise CalibrationFailedError: the job failed; not retried.
    :raise BadDataError: the result is not what the contract says; not retried.
    :raise TransientError: the service is away, overloaded, or lost the job; or the job was cancelled and this task
        was not (the end of the try before it may come late); retried, with a job of its own.
    """

    template_fields: Sequence[str] = ("run", "http_conn_id", "kubernetes_conn_id")
    template_fields_renderers: dict[str, str] = {}
    ui_color = "#eef4fb"

    def __init__(
        self,
        *,
        run: Any,
        http_conn_id: str = SERVICE,
        kubernetes_conn_id: str = KUBERNETES,
        poll_interval: float = 10.0,
        calibration_timeout: timedelta = timedelta(hours=2),
        **kwargs: Any,
    ) -> None:
        super().__init__(endpoint=_ENDPOINT, method="POST", http_conn_id=http_conn_id, **kwargs)
        self.run = run
        self.kubernetes_conn_id = kubernetes_conn_id
        self.poll_interval = poll_interval
        self.calibration_timeout = calibration_timeout
        self._job: str | None = None
        self._pod: PodCalibration | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        run, began = Run.from_dict(self.run), time.time()
        if run.runtime == "pod":
            return self._in_pod(run).execute(context)
        accepts = self._ask_health()
        response = self._submit(run, accepts)
        if response.status_code == 200:
            return stage_result(run, response.content, self.log, began=began, sent_run_id=accepts.contract is not None)
        self._job = self._hook("GET").endpoint_of(_location(response), response.url)
        self.log.info("R IRT service runs the calibration as job %s", self._job)
        self.defer(
            trigger=CalibrationJobTrigger(self.http_conn_id, self._job, self.poll_interval),
            method_name=self.resume.__name__,
            kwargs={"job": self._job, "contract": accepts.contract, "began": began},
            timeout=self.calibration_timeout,
        )
        raise AssertionError("defer() does not return")

    def resume(
        self, context: Any, event: dict[str, str], job: str, contract: str | None, began: float | None = None
    ) -> dict[str, Any]:
        """Goes on when the job has ended: fetches its result."""
        status, message = event["status"], event.get("message", "")
        if status in {"lost", "unreachable", "cancelled"}:
            raise TransientError(f"calibration job {job}: {status}: {message}")
        if status == "refused":
            raise RequestRefusedError(f"calibration job {job}: {message}")
        if status != "succeeded":
            raise CalibrationFailedError(f"calibration job {job} {status}: {message}")
        body = self._hook("GET").call(f"{job}/result", timeout=600).content
        return stage_result(Run.from_dict(self.run), body, self.log, began=began, sent_run_id=contract is not None)

    def resume_pod(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Goes on when the pod has ended."""
        return self._in_pod(Run.from_dict(self.run)).resume(context, event)

    def _in_pod(self, run: Run) -> PodCalibration:
        self._pod = PodCalibration(run, self, conn_id=self.kubernetes_conn_id, resume=self.resume_pod.__name__)
        return self._pod

    def on_kill(self) -> None:
        if self._pod:
            self._pod.on_kill()
        if self._job:
            self._hook("DELETE").call(self._job, timeout=20)
            self.log.info("calibration job %s cancelled because its task was", self._job)

    def _hook(self, method: str) -> CalibrationHook:
        return CalibrationHook(method=method, http_conn_id=self.http_conn_id)

    def _ask_health(self) -> Accepts:
        try:
            return Accepts.from_health(self._hook("GET").call("healthz").json())
        # A service that has no such page, or says nothing on it that we know, still gets the plain form.
        except (RequestRefusedError, ValueError):
            return Accepts()

    def _submit(self, run: Run, accepts: Accepts) -> Any:
        responses = run.staged(RESPONSES)
        settings = staged_settings(run)
        self.log.info(
            "Calling R IRT service: model %s, linking %s, %s anchors and seeds, run %s",
            run.model, settings["linking"]["method"], len(settings["anchors"]), run.run_key,
        )  # fmt: skip
        headers = {
            "Prefer": "respond-async",
            "Idempotency-Key": idempotency_key(run, settings, responses),
            "Accept": "application/json",
        }
        with tempfile.SpooledTemporaryFile(_LARGEST_IN_MEMORY) as scratch:
            body, described = write_body(responses, settings, accepts, scratch)
            # A service without jobs answers when it has calibrated; one with jobs at once, and a retry finds its job.
            seconds = self.calibration_timeout.total_seconds()
            if accepts.contract is not None:
                seconds = min(seconds, _LONGEST_SUBMISSION)
            return self._hook("POST").call(self.endpoint, body=body, headers=headers | described, timeout=(20, seconds))


def _location(response: Any) -> str:
    location = response.headers.get("Location")
    if response.status_code != 202 or not location:
        raise BadDataError(f"the calibration service answered {response.status_code} without a Location to poll")
    return location
