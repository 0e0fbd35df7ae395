"""A calibration in a pod of its own: what is staged for it, and what becomes of its result. Takes seconds to import."""

from __future__ import annotations

import os
import stat
import time
from datetime import timedelta
from typing import Any

from irt.errors import BadDataError, TransientError
from irt.pods.pod import CalibrationPod
from irt.pods.settings import pod_settings
from irt.request import idempotency_key, staged_settings
from irt.run import Run
from irt.staged_result import stage_result
from irt.staging import REQUEST, RESPONSES, RESULTS, write_json

_DIGEST = 32


class PodCalibration:
    """Runs `irt-engine calibrate` of the engine's image on the staged responses and stages its result.

    The pod is given the request that the service would be, and its result is staged in the same way. A worker that dies
    finds its pod again, and a result that is there already is not calculated twice.

    :param task: whose pod it is: it defers to `resume`, and writes the log.
    :param resume: the name of the task's method that goes on when the pod has ended.
    """

    def __init__(self, run: Run, task: Any, *, kubernetes_conn_id: str, resume: str) -> None:
        self._run, self._task, self._kubernetes_conn_id, self._resume = run, task, kubernetes_conn_id, resume
        self._pod: CalibrationPod | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Asks for the pod and defers, unless there is a result already.

        :return: the figures of the fit.
        """
        run, began = self._run, time.time()
        request = staged_settings(run)
        digest = idempotency_key(run, request, run.staged(RESPONSES)).rpartition(":")[2][:_DIGEST]
        self._pod = self._calibration_pod(digest, began)
        if self._result(digest).exists():
            self._task.log.info("The result of this very request is there already")
            told = self._stage(digest, began)
            self._pod.remove_left(context)
            return told
        write_json(run.staged(REQUEST), request)
        _open_to_pod(run)
        # Defers; returns where a pod of an earlier try has ended meanwhile.
        self._pod.execute_async(context)
        return self._stage(digest, began)

    def resume(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Goes on when the pod has ended: its log, its result or the reason why there is none.

        :return: the figures of the fit.
        """
        self._pod = self._calibration_pod(event["digest"], event["began"])
        self._pod.trigger_reentry(context, event)
        return self._stage(event["digest"], event["began"])

    def on_kill(self) -> None:
        if self._pod is not None:
            self._pod.on_kill()

    def _calibration_pod(self, digest: str, began: float) -> CalibrationPod:
        settings = pod_settings()
        longest = timedelta(minutes=self._run.pod["minutes"], seconds=2 * settings.start_seconds)
        return CalibrationPod(
            run=self._run,
            settings=settings,
            responses=RESPONSES,
            result=self._result(digest).name,
            digest=digest,
            resume=self._resume,
            task_id=self._task.task_id,
            kubernetes_conn_id=self._kubernetes_conn_id,
            execution_timeout=longest + timedelta(minutes=5),
            trigger_kwargs={"digest": digest, "began": began},
        )

    def _result(self, digest: str) -> Any:
        return self._run.staged(RESULTS) / f"result-{digest}.json"

    def _stage(self, digest: str, began: float) -> dict[str, Any]:
        path = self._result(digest)
        if not path.exists():
            raise TransientError(
                f"the pod succeeded, and {path} is not there: do workers and pods see the same volume or bucket?"
            )
        if path.protocol == "file" and not stat.S_ISREG(os.lstat(path.path).st_mode):
            # A link would be followed here, where there is more to see than in the pod; a pipe never ends.
            raise BadDataError(f"the pod's result {path} is not a regular file")
        return stage_result(self._run, path.read_bytes(), self._task.log, began=began)


def _open_to_pod(run: Run) -> None:
    """Let the pod, which is another user, read the run's folder and write into that of the results.

    Nobody else can: a pod sees of the volume nothing but this.
    """
    results = run.staged(RESULTS)
    if results.protocol != "file":
        return
    results.mkdir(parents=True, exist_ok=True)
    os.chmod(results.parent.path, 0o755)  # noqa: S103
    os.chmod(results.path, 0o1777)  # noqa: S103
    for name in (RESPONSES, REQUEST):
        os.chmod(run.staged(name).path, 0o644)
