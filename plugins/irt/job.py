"""A job of the calibration service, as it describes itself."""

from __future__ import annotations

import json

_ENDED = frozenset({"succeeded", "failed", "cancelled"})


def judge(status: int, text: str) -> tuple[dict[str, str] | None, str]:
    """What the service's answer about a job means.

    :param status: HTTP's.
    :return: the event that the job ended with, `{"status", "message"}`, or None; and the progress to show.
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
        return {"status": state, "message": json.dumps(job.get("error"))}, ""
    progress = job.get("progress") or {}
    figures = ", ".join(f"{name} {value}" for name, value in progress.items() if value is not None)
    return None, f"{state} {figures}".strip()
