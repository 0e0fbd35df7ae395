"""Why a calibration's pod failed, and whether another try can help."""

from __future__ import annotations

from typing import Any

from irt.errors import CalibrationFailedError, PermanentError, TransientError
from irt.run import Run

_CANNOT_START = frozenset(
    {"InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull"}
)
_KILLED = 137
# Exit statuses of irt-engine: the input cannot be used, the data cannot be calibrated.
_REFUSED = frozenset({1, 2})


def failure_of(run: Run, name: str, pod: Any | None, told: str) -> PermanentError | TransientError:
    """The error to raise.

    :param pod: as Kubernetes shows it after its end; None if it is gone.
    :param told: the trigger's message.
    """
    where = f"pod {name} of bank {run.bank}"
    if pod is None or pod.status is None:
        return TransientError(f"{where} is gone: deleted from outside, or lost with its node ({_first_line(told)})")
    if pod.status.reason == "DeadlineExceeded":
        return CalibrationFailedError(
            f"{where} did not end within {run.pod['minutes']} minutes (pod.minutes of the bank)"
        )
    if pod.status.reason:
        return TransientError(f"{where}: {pod.status.reason}: {pod.status.message}")
    state = next((c.state for c in pod.status.container_statuses or [] if c.name == "base"), None)
    if state is not None and state.terminated is not None:
        return _ended(run, where, state.terminated)
    if state is not None and state.waiting is not None:
        kind = PermanentError if state.waiting.reason in _CANNOT_START else TransientError
        return kind(f"{where} could not start: {state.waiting.reason}: {state.waiting.message}")
    return TransientError(f"{where} did not start: {_why_pending(pod) or _first_line(told)}")


def never_ran(pod: Any | None) -> bool:
    """Whether the pod has no log to look at, and might still start."""
    return pod is not None and pod.status is not None and pod.status.phase in {"Pending", "Unknown"}


def _ended(run: Run, where: str, terminated: Any) -> PermanentError | TransientError:
    if terminated.reason == "OOMKilled":
        return CalibrationFailedError(
            f"{where} needs more memory than {run.pod['memory']}: raise pod.memory of the bank in banks.yaml"
        )
    if terminated.exit_code in _REFUSED:
        return CalibrationFailedError(f"{where}: {_last_line(terminated.message) or 'no reason given; see its log'}")
    killed = " (killed, with its node or by its limits)" if terminated.exit_code == _KILLED else ""
    return TransientError(f"{where} ended with status {terminated.exit_code}{killed}: {_last_line(terminated.message)}")


def _why_pending(pod: Any) -> str:
    return "; ".join(f"{c.reason}: {c.message}" for c in pod.status.conditions or [] if c.status != "True" and c.reason)


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]


def _last_line(text: str | None) -> str:
    return ((text or "").strip().splitlines() or [""])[-1]
