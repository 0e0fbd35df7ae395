"""A job of the calibration service, as it describes itself."""

from __future__ import annotations

import json

_ENDED = frozenset({"succeeded", "failed", "cancelled"})
# Accidents that another job with the same answers need not have. (A job that took too long would again.)
_NOT_ITS_FAULT = frozenset({"urn:irt:problem:worker-died", "urn:irt:problem:unavailable"})


def judge(status: int, text: str) -> tuple[dict[str, str] | None, str]:
    """Interpret the service's answer about a job.

    :param status: the HTTP status.
    :return: the event that the job ended with, `{"status", "message"}`, or None; and the progress to show. The status
        is `struck` if the job was not at fault (its process was killed, the service lacked memory or space).
    """
    if status in {404, 410}:
        return {"status": "lost", "message": "the service no longer knows the job"}, ""
    if status != 200:
        return {"status": "refused", "message": f"HTTP {status}: {text[:500]}"}, ""
    try:
        job = json.loads(text)
        state = job["status"]
    except (ValueError, KeyError, TypeError):
        return {"status": "refused", "message": f"not a job: {text[:200]!r}"}, ""
    if state in _ENDED:
        error = job.get("error")
        if isinstance(error, dict) and error.get("type") in _NOT_ITS_FAULT:
            state = "struck"
        return {"status": state, "message": json.dumps(error)}, ""
    progress = job.get("progress") or {}
    figures = ", ".join(f"{name} {value}" for name, value in progress.items() if value is not None)
    return None, f"{state} {figures}".strip()
