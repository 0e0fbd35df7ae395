"""A job of the calibration service, as it describes itself."""

from __future__ import annotations

import json

_ENDED = frozenset({"succeeded", "failed", "cancelled"})
# What befell the job, and would not befall another of the same answers. A job that took too long would again.
_NOT_ITS_FAULT = frozenset({"urn:irt:problem:worker-died", "urn:irt:problem:unavailable"})


def judge(status: int, text: str) -> tuple[dict[str, str] | None, str]:
    """What the service's answer about a job means.

    :param status: HTTP's.
    :return: the event that the job ended with, `{"status", "message"}`, or None; and the progress to show. A job that
        failed through no fault of its own (its process was killed, the service lacked memory or space) is `struck`.
    """
    if status in {404, 410}:
        return {"status": "lost", "message": "the service does not know the job any more"}, ""
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
