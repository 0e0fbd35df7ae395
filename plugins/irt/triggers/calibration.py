"""Waits for a calibration job outside of any worker."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.configuration import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent

from irt.hooks.calibration import AsyncCalibrationHook

_ENDED = frozenset({"succeeded", "failed", "cancelled"})
_FIRST_PAUSE = 0.5


class CalibrationJobTrigger(BaseTrigger):
    """Polls a job with GET until it has ended, and cancels it when a user kills the task.

    A service that is away for a while is waited for: a restarted one still knows its jobs.

    :param endpoint: the job's, relative to the connection's address.
    :param poll_interval: longest pause between two polls, in seconds; the first ones are shorter.
    :param patience: how long the service may be unreachable, in seconds.
    """

    def __init__(self, http_conn_id: str, endpoint: str, poll_interval: float = 10.0, patience: float = 600.0) -> None:
        super().__init__()
        self.http_conn_id = http_conn_id
        self.endpoint = endpoint
        self.poll_interval = poll_interval
        self.patience = patience

    def serialize(self) -> tuple[str, dict[str, Any]]:
        fields = ("http_conn_id", "endpoint", "poll_interval", "patience")
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {name: getattr(self, name) for name in fields},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event: `{"status": succeeded | failed | cancelled | lost | refused | unreachable, "message"}`."""
        event = await self._wait()
        yield TriggerEvent(event)

    async def _wait(self) -> dict[str, str]:
        await asyncio.sleep(settling_time())
        pause, reached, shown = _FIRST_PAUSE, time.monotonic(), None
        while True:
            try:
                status, text = await self._request("GET")
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                status, text = 0, f"{type(error).__name__}: {error}"
            if 0 < status < 500 and status not in {408, 425, 429}:
                reached = time.monotonic()
                event, progress = _judge(status, text)
                if event:
                    return event
                if progress != shown:
                    self.log.info("calibration job %s: %s", self.endpoint, progress)
                    shown = progress
            elif time.monotonic() - reached > self.patience:
                message = f"not reachable for {self.patience:.0f} s; last answer: {status or 'none'} {text[:300]}"
                return {"status": "unreachable", "message": message}
            else:
                self.log.warning("calibration job %s: no answer (%s %s)", self.endpoint, status or "", text[:300])
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, self.poll_interval)

    async def on_kill(self) -> None:
        status, _ = await self._request("DELETE")
        self.log.info("calibration job %s cancelled because its task was (HTTP %s)", self.endpoint, status)

    async def _request(self, method: str) -> tuple[int, str]:
        return await AsyncCalibrationHook(http_conn_id=self.http_conn_id).request(method, self.endpoint)


def settling_time() -> float:
    """How long a deferred task must stay away, in seconds.

    The supervisor of the part that deferred may linger for `min_heartbeat_interval` after its end. When the task runs
    again before that, the scheduler takes the late news for the end of the new part, and retries a task that is well.
    """
    return 2.0 * conf.getint("workers", "min_heartbeat_interval")


def _judge(status: int, text: str) -> tuple[dict[str, str] | None, str]:
    """What a job's representation means: the event it ends with, or the progress to show."""
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
