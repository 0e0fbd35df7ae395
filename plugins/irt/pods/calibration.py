"""A calibration in its own pod: stages the request, waits, and stages the result. Takes seconds to import."""

from __future__ import annotations

import os
import stat
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from irt.errors import BadDataError, TransientError
from irt.pods.pod import CalibrationPod
from irt.pods.settings import pod_settings
from irt.request import CONTRACT, identify, stage_request, staged_settings
from irt.run import Run
from irt.staged_result import stage_result
from irt.staging import REQUEST, RESPONSES, RESULTS

_DIGEST = 32


class PodCalibration:
    """Runs `irt-engine calibrate` from the engine's image on the staged responses and stages its result.

    The pod gets the same request that the service would get, and its result is staged in the same way. If a worker
    dies, the retry finds the pod again; an existing result is not calculated twice.

    :param task: the operator, whose log is used and which defers to `resume`.
    :param resume: the name of the task's method that continues when the pod has ended.
    """

    def __init__(self, run: Run, task: Any, *, kubernetes_conn_id: str, resume: str) -> None:
        self._run, self._task, self._kubernetes_conn_id, self._resume = run, task, kubernetes_conn_id, resume
        self._pod: CalibrationPod | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Requests the pod and defers, unless there is a result already.

        :return: the figures of the fit.
        """
        digest, began, sent, self._pod = self.prepared()
        if self._result(digest).exists():
            self._task.log.info("This request already has a result")
            told = self.staged(digest, began, sent)
            self._pod.remove_left(context)
            return told
        # Defers; returns only if the pod of an earlier try has ended meanwhile.
        self._pod.execute_async(context)
        return self.staged(digest, began, sent)

    def prepared(self) -> tuple[str, float, dict[str, Any], CalibrationPod]:
        """Stage the request for a pod: its digest, when that was, what is sent, and the pod, not yet started."""
        run, began = self._run, time.time()
        request = staged_settings(run)
        with run.staged(RESPONSES).open("rb") as responses:
            identity = identify(run, request, responses)
        digest = identity.key.rpartition(":")[2][:_DIGEST]
        sent = stage_request(run, request, CONTRACT, responses=identity.responses)
        _open_to_pod(run)
        return digest, began, sent, self._calibration_pod(digest, began, sent)

    def resume(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Continues when the pod has ended: reads its log, and its result or the reason why there is none.

        :return: the figures of the fit.
        """
        # Not in the event of a task deferred by a version without receipts.
        known = event["digest"], event["began"], event.get("sent")
        self._pod = self._calibration_pod(*known)
        self._pod.trigger_reentry(context, event)
        return self.staged(*known)

    def on_kill(self) -> None:
        if self._pod is not None:
            self._pod.on_kill()

    def _calibration_pod(self, digest: str, began: float, sent: dict[str, Any] | None) -> CalibrationPod:
        settings = pod_settings()
        longest = timedelta(minutes=self._run.pod["minutes"], seconds=2 * settings.start_seconds)
        return CalibrationPod(
            run=self._run,
            settings=settings,
            responses=RESPONSES,
            result=self._result(digest).name,
            abilities=self._abilities(digest).name,
            digest=digest,
            resume=self._resume,
            task_id=self._task.task_id,
            kubernetes_conn_id=self._kubernetes_conn_id,
            execution_timeout=longest + timedelta(minutes=5),
            trigger_kwargs={"digest": digest, "began": began, "sent": sent},
        )

    def _result(self, digest: str) -> Any:
        """The pod writes it last: where it is, the abilities are complete."""
        return self._run.staged(RESULTS) / f"result-{digest}.json"

    def _abilities(self, digest: str) -> Any:
        return self._run.staged(RESULTS) / f"abilities-{digest}.parquet"

    def staged(self, digest: str, began: float, sent: dict[str, Any] | None) -> dict[str, Any]:
        """Stage the result that the pod wrote; the figures of the fit."""
        path, abilities = self._result(digest), self._abilities(digest)
        if not path.exists():
            raise TransientError(
                f"the pod succeeded, but {path} does not exist: do workers and pods see the same volume or bucket?"
            )
        _require_regular(path)
        with ExitStack() as opened:
            files = None
            # A pod that an earlier version started writes them into its result.
            if abilities.exists():
                _require_regular(abilities)
                files = [opened.enter_context(abilities.open("rb"))]
            told = stage_result(
                self._run, path.read_bytes(), self._task.log, began=began, abilities=files, sent=sent
            )  # fmt: skip
        _close_to_pod(self._run)
        return told


def _require_regular(path: Any) -> None:
    """:raise BadDataError: the worker would follow a link to files that the pod cannot see; a pipe never ends."""
    if path.protocol == "file" and not stat.S_ISREG(os.lstat(path.path).st_mode):
        raise BadDataError(f"the pod's result {path} is not a regular file")


def _open_to_pod(run: Run) -> None:
    """Let the pod, which runs as another user, read the run's folder and write to its results folder.

    Other pods cannot: each sees only its own run's folder of the volume.
    """
    results = run.staged(RESULTS)
    if results.protocol != "file":
        return
    results.mkdir(parents=True, exist_ok=True)
    os.chmod(results.parent.path, 0o755)  # noqa: S103
    os.chmod(results.path, 0o1777)  # noqa: S103
    for name in (RESPONSES, REQUEST):
        os.chmod(run.staged(name).path, 0o644)


def _close_to_pod(run: Run) -> None:
    """The inputs may be kept for long; only their owner reads them once the pod has ended."""
    for name in (RESPONSES, REQUEST):
        path = run.staged(name)
        if path.protocol == "file":
            os.chmod(path.path, 0o600)
