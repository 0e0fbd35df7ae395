"""A calibration by the calibration service: sends the request, waits for the job, and stages the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any

from irt import legacy
from irt.errors import BadDataError, CalibrationFailedError, RequestRefusedError, TransientError
from irt.hooks.calibration import CalibrationHook
from irt.job import judge
from irt.received import ACCEPT, JSON, receive
from irt.request import Accepts, body_of, identify, stage_request, staged_settings
from irt.run import Run
from irt.staged_result import stage_result
from irt.staging import RESPONSES

_ENDPOINT = "irt/calibrate"
_LARGEST_IN_MEMORY = 1 << 20
# Seconds within which a service with jobs must read and check a request.
_LONGEST_SUBMISSION = 300.0
# Pauses between the worker's own polls of a job, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5


class ServiceCalibration:
    """Sends the staged responses to the service and stages its result.

    :param task: the operator, whose log is used and which defers to `resume`.
    :param resume: the name of the task's method that continues when the job has ended.
    :param poll_interval: longest pause between two polls of the job, in seconds.
    :param in_place: how long the worker itself waits for the job, in seconds.
    :param longest: how long a calibration may take.
    """

    def __init__(
        self, run: Run, task: Any, *, http_conn_id: str, resume: str, poll_interval: float, in_place: float,
        longest: timedelta,
    ) -> None:  # fmt: skip
        self._run, self._task, self._http_conn_id, self._resume = run, task, http_conn_id, resume
        self._poll_interval, self._in_place, self._longest = poll_interval, in_place, longest
        self._job: str | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Requests the calibration; defers unless it ends soon or the service answers with the result.

        :return: the figures of the fit.
        :raise RequestRefusedError, TransientError: the service refused, or is unreachable or overloaded.
        :raise BadDataError: its answer does not follow the contract.
        """
        began = time.time()
        accepts = self._ask_health()
        response, sent = self._submit(accepts)
        if response.status_code == 200:
            return self._stage(response, contract=accepts.contract, began=began, sent=sent)
        response.close()
        job = self._job = self._hook("GET").endpoint_of(_location(response), response.url)
        self._task.log.info("R IRT service runs the calibration as job %s", job)
        known: dict[str, Any] = {"job": job, "contract": accepts.contract, "began": began, "sent": sent}
        if event := self._wait_in_place(job):
            return self.resume(event, **known)
        self._defer(known)
        raise AssertionError("defer() does not return")

    def resume(
        self, event: dict[str, str], *, job: str, contract: str | None, began: float | None,
        sent: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Continues when the job has ended: fetches its result.

        :return: the figures of the fit.
        :raise CalibrationFailedError: the job failed.
        :raise RequestRefusedError, TransientError: the job cannot be queried, is lost, was cancelled, or its process
            was killed.
        :raise BadDataError: the result does not follow the contract.
        """
        status, message = event["status"], event.get("message", "")
        if status != "succeeded":
            message = f"{message} ({self._hook('GET').described()})"
        if status in {"lost", "unreachable", "cancelled", "struck"}:
            raise TransientError(f"calibration job {job}: {status}: {message}")
        if status == "refused":
            raise RequestRefusedError(f"calibration job {job}: {message}")
        if status != "succeeded":
            raise CalibrationFailedError(f"calibration job {job} {status}: {message}")
        headers = {"Accept": _accepted(contract)}
        response = self._hook("GET").call(f"{job}/result", headers=headers, stream=True, timeout=600)
        return self._stage(response, contract=contract, began=began, sent=sent)

    def _stage(self, response: Any, *, contract: str | None, began: float | None, sent: Any) -> dict[str, Any]:
        received = receive(response, self._hook("GET").described())
        return stage_result(
            self._run, received.document, self._task.log, began=began, abilities=received.abilities,
            complete=self._completion(contract), sent=sent,
        )  # fmt: skip

    def _completion(self, contract: str | None) -> Callable[[Any], Any] | None:
        if contract is not None:
            return None
        anchors = len(legacy.request_of(staged_settings(self._run, starts=False))["anchors"])
        return partial(legacy.complete, model=self._run.model, anchors=anchors)

    def on_kill(self) -> None:
        """Cancels the job, if there is one yet."""
        if self._job:
            self._hook("DELETE").call(self._job, timeout=20)
            self._task.log.info("calibration job %s cancelled because its task was", self._job)

    def _wait_in_place(self, job: str) -> dict[str, str] | None:
        """The event that the job ended with, if it ends soon; the trigger handles everything else, failed polls too."""
        until, pause = time.monotonic() + self._in_place, _FIRST_PAUSE
        while time.monotonic() < until:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                answer = self._hook("GET").call(job)
            except (TransientError, RequestRefusedError):
                return None
            event, _ = judge(answer.status_code, answer.text)
            if event:
                return event
        return None

    def _defer(self, known: dict[str, Any]) -> None:
        # Imported only if a job takes longer: the trigger's HTTP client is not the worker's.
        from irt.triggers.calibration import CalibrationJobTrigger

        self._task.defer(
            trigger=CalibrationJobTrigger(self._http_conn_id, known["job"], self._poll_interval),
            method_name=self._resume,
            kwargs=known,
            timeout=self._longest,
        )

    def _hook(self, method: str) -> CalibrationHook:
        return CalibrationHook(method=method, http_conn_id=self._http_conn_id)

    def _ask_health(self) -> Accepts:
        try:
            return Accepts.from_health(self._hook("GET").call("healthz").json())
        # A service without this page, or with one that we do not know, still gets the plain form.
        except (RequestRefusedError, ValueError):
            return Accepts()

    def _submit(self, accepts: Accepts) -> tuple[Any, dict[str, Any]]:
        """The service's answer, and what was sent (see `request.sent_of`)."""
        run, settings = self._run, self._settings(accepts)
        asked = accepts.known(settings) if accepts.contract else legacy.request_of(settings)
        self._task.log.info(
            "Calling R IRT service: model %s, linking %s, %s anchors and seeds, run %s",
            run.model, settings["linking"]["method"], len(asked["anchors"]), run.run_key,
        )  # fmt: skip
        # Opened once: what is sent is what was identified, even if another extraction stages other answers meanwhile.
        with run.staged(RESPONSES).open("rb") as responses, SpooledTemporaryFile(_LARGEST_IN_MEMORY) as scratch:
            identity = identify(run, settings, responses)
            sent = stage_request(run, asked, accepts.contract, responses=identity.responses)
            body, described = body_of(responses, asked, accepts, scratch)
            headers = {
                "Prefer": "respond-async",
                "Idempotency-Key": identity.key,
                "Accept": _accepted(accepts.contract),
                **described,
            }
            # Without jobs, a service answers after calibrating; with jobs, at once, and a retry finds its job.
            seconds = self._longest.total_seconds()
            if accepts.contract is not None:
                seconds = min(seconds, _LONGEST_SUBMISSION)
            timeout = (20, seconds)
            return self._hook("POST").call(_ENDPOINT, body=body, headers=headers, stream=True, timeout=timeout), sent

    def _settings(self, accepts: Accepts) -> dict[str, Any]:
        """The request without its observations, and without verdicts where the service cannot judge."""
        settings = staged_settings(self._run, starts="start" in accepts.capabilities)
        if "verdicts" in settings and "verdicts" not in accepts.capabilities:
            del settings["verdicts"]
            self._task.log.warning("The service cannot judge items (capability verdicts): only `moved` is judged")
        elif self._run.looks_for_changes and "changes" not in accepts.capabilities:
            self._task.log.info("The service cannot look for changes (capability changes): `changed` is not judged")
        return settings


def _accepted(contract: str | None) -> str:
    """The forms of a result: whoever has no contract knows of one alone, whoever has one need not know the other."""
    return JSON if contract is None else ACCEPT


def _location(response: Any) -> str:
    location: str | None = response.headers.get("Location")
    if response.status_code != 202 or not location:
        raise BadDataError(f"the calibration service answered {response.status_code} without a Location to poll")
    return location
