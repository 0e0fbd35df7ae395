"""The task that asks the calibration service."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
from airflow.providers.http.operators.http import HttpOperator

from irt.errors import BadDataError, CalibrationFailedError, RequestRefusedError, TransientError
from irt.hooks.calibration import CalibrationHook
from irt.operators.base import SERVICE
from irt.operators.extract import ANCHORS, RESPONSES
from irt.request import Accepts, distinct, idempotency_key, settings_of, write_body
from irt.result import parse_result
from irt.run import Run
from irt.triggers.calibration import CalibrationJobTrigger

ITEMS = "items.parquet"
ABILITIES = "abilities.parquet"
FIT = "fit.json"

_ENDPOINT = "irt/calibrate"
_LARGEST_IN_MEMORY = 1 << 20
# Seconds in which a service that knows jobs must have read and checked a request.
_LONGEST_SUBMISSION = 300.0


class CalibrateOperator(HttpOperator):
    """Sends the staged responses to the calibration service and stages its result.

    The request goes out from the worker, once: with `Prefer: respond-async` and an `Idempotency-Key`, so that a
    worker that dies finds the same job again. While the job runs the task is deferred (no worker waits); a service
    that answers `200` at once, as the one in production does today, is served as well. When the task is killed,
    the job is cancelled.

    :param run: the run, as `irt.run.Run.to_dict` gives it. (templated)
    :param poll_interval: longest pause between two looks at the job, in seconds.
    :param calibration_timeout: how long a calibration may take.
    :return: the figures of the fit, small enough for XCom.
    :raise RequestRefusedError: the service refused the request (4xx); not retried.
    :raise CalibrationFailedError: the job failed; not retried.
    :raise BadDataError: the result is not what the contract says; not retried.
    :raise TransientError: the service is away, overloaded, or lost the job; or the job was cancelled and this task
        was not (the end of the try before it may come late); retried, with a job of its own.
    """

    template_fields: Sequence[str] = ("run", "http_conn_id")
    template_fields_renderers: dict[str, str] = {}
    ui_color = "#eef4fb"

    def __init__(
        self,
        *,
        run: Any,
        http_conn_id: str = SERVICE,
        poll_interval: float = 10.0,
        calibration_timeout: timedelta = timedelta(hours=2),
        **kwargs: Any,
    ) -> None:
        super().__init__(endpoint=_ENDPOINT, method="POST", http_conn_id=http_conn_id, **kwargs)
        self.run = run
        self.poll_interval = poll_interval
        self.calibration_timeout = calibration_timeout
        self._job: str | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        run, began = Run.from_dict(self.run), time.time()
        accepts = self._ask_health()
        response = self._submit(run, accepts)
        if response.status_code == 200:
            return self._stage(run, response.content, accepts, began)
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
        return self._stage(Run.from_dict(self.run), body, Accepts(contract=contract), began)

    def on_kill(self) -> None:
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
        with run.staged(ANCHORS).open("r") as file:
            settings = settings_of(run, json.load(file), distinct(responses, "item_id"))
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

    def _stage(self, run: Run, body: bytes, accepts: Accepts, began: float | None) -> dict[str, Any]:
        result = parse_result(body, run_key=run.run_key, sent_run_id=accepts.contract is not None)
        responses = run.staged(RESPONSES)
        result.refuse_strangers(distinct(responses, "item_id"), distinct(responses, "user_id"))
        for name, table in ((ITEMS, result.items), (ABILITIES, result.abilities)):
            with run.write_staged(name) as file:
                pq.write_table(table, file, compression="zstd")
        with run.write_staged(FIT, "w") as file:
            # A task that was deferred by a version without `began` has none.
            json.dump(result.fit | {"seconds": began and round(time.time() - began, 3)}, file)
        return self._report(result.fit)

    def _report(self, fit: dict[str, Any]) -> dict[str, Any]:
        spec, metrics = fit["model_spec"], fit["metrics"]
        linking = spec.get("linking_constants") or {}
        self.log.info(
            "Linking constants received: slope=%s intercept=%s n_anchors_used=%s method=%s",
            *(linking.get(name) for name in ("slope", "intercept", "n_anchors_used", "method")),
        )
        excluded = {kind: len(rows) for kind, rows in fit["excluded"].items()}
        self.log.info(
            "Calibration completed successfully: %s items, %s abilities, log-likelihood %s, converged %s, excluded %s",
            fit["n_items"], fit["n_abilities"], metrics.get("loglik"), metrics.get("converged"), excluded,
        )  # fmt: skip
        return {
            "items": fit["n_items"],
            "abilities": fit["n_abilities"],
            "loglik": metrics.get("loglik"),
            "converged": metrics.get("converged"),
            "slope": linking.get("slope"),
            "intercept": linking.get("intercept"),
            "n_anchors_used": linking.get("n_anchors_used"),
        }


def _location(response: Any) -> str:
    location = response.headers.get("Location")
    if response.status_code != 202 or not location:
        raise BadDataError(f"the calibration service answered {response.status_code} without a Location to poll")
    return location
