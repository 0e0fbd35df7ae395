"""The task that calibrates a bank: by the calibration service, or in a pod."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from irt.operators.base import KUBERNETES, SERVICE
from irt.run import Run
from irt.tracing import name_run

if TYPE_CHECKING:
    from irt.pods.calibration import PodCalibration
    from irt.service import ServiceCalibration


class CalibrateOperator(BaseOperator):
    """Sends the staged responses to the calibration service and stages its result; a bank with `runtime: pod` or
    `dask` is calibrated in its own pod instead (see `PodCalibration`), with the same result.

    The worker sends the request once, with `Prefer: respond-async` and an `Idempotency-Key`, so that after a worker
    dies, the retry finds the same job. For a long job, the task defers (no worker waits); a service that answers
    `200` directly, as production's does today, works as well. When the task is killed, the job is cancelled, or the
    pod removed.

    :param run: the run, as `irt.run.Run.to_dict` gives it. (templated)
    :param http_conn_id: the Airflow connection of the calibration service. (templated)
    :param kubernetes_conn_id: the Airflow connection of the pods' cluster; if it does not exist, the cluster that the
        worker is in. (templated)
    :param poll_interval: longest pause between two polls of the job, in seconds.
    :param in_place: how long the worker itself waits for a job before it defers, in seconds: for shorter jobs, the
        detour through the triggerer and a second start of the task would take longer.
    :param calibration_timeout: how long a calibration may take.
    :return: the figures of the fit, small enough for XCom.
    :raise RequestRefusedError: the service refused the request (4xx); not retried.
    :raise CalibrationFailedError: the job failed; not retried.
    :raise BadDataError: the result does not follow the contract; not retried.
    :raise TransientError: the service is unreachable, overloaded, or lost the job; its process was killed; or the job
        was cancelled but this task was not (the previous try may end late); retried with a new job.
    """

    template_fields: Sequence[str] = ("run", "http_conn_id", "kubernetes_conn_id")
    ui_color = "#eef4fb"

    def __init__(
        self,
        *,
        run: Any,
        http_conn_id: str = SERVICE,
        kubernetes_conn_id: str = KUBERNETES,
        poll_interval: float = 10.0,
        in_place: float = 5.0,
        calibration_timeout: timedelta = timedelta(hours=2),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.http_conn_id = http_conn_id
        self.kubernetes_conn_id = kubernetes_conn_id
        self.poll_interval = poll_interval
        self.in_place = in_place
        self.calibration_timeout = calibration_timeout
        self._calibration: PodCalibration | ServiceCalibration | None = None

    def pre_execute(self, context: Any) -> None:
        name_run(Run.from_dict(self.run))

    def execute(self, context: Any) -> dict[str, Any]:
        run = Run.from_dict(self.run)
        calibration = self._in_pod(run) if run.in_pod else self._at_service(run)
        return calibration.execute(context)

    def resume(
        self, context: Any, event: dict[str, str], job: str, contract: str | None, began: float | None = None,
        sent: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Continues when the job has ended: fetches its result."""
        service = self._at_service(Run.from_dict(self.run))
        return service.resume(event, job=job, contract=contract, began=began, sent=sent)

    def resume_pod(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Continues when the pod has ended."""
        return self._in_pod(Run.from_dict(self.run)).resume(context, event)

    def get_openlineage_facets_on_start(self) -> Any:
        from irt.lineage import of_calibration

        return of_calibration(Run.from_dict(self.run), None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        from irt.lineage import of_calibration
        from irt.staged_result import read_receipt

        run = Run.from_dict(self.run)
        return of_calibration(run, read_receipt(run))

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        # What is staged would be the result of an earlier try.
        return self.get_openlineage_facets_on_start()

    def on_kill(self) -> None:
        if self._calibration:
            self._calibration.on_kill()

    def _at_service(self, run: Run) -> ServiceCalibration:
        from irt.service import ServiceCalibration

        self._calibration = ServiceCalibration(
            run,
            self,
            http_conn_id=self.http_conn_id,
            resume=self.resume.__name__,
            poll_interval=self.poll_interval,
            in_place=self.in_place,
            longest=self.calibration_timeout,
        )
        return self._calibration

    def _in_pod(self, run: Run) -> PodCalibration:
        from irt.pods.calibration import PodCalibration

        self._calibration = PodCalibration(
            run, self, kubernetes_conn_id=self.kubernetes_conn_id, resume=self.resume_pod.__name__
        )
        return self._calibration
