"""Waits for a calibration job without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.configuration import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent

from irt.hooks.calibration import AsyncCalibrationHook
from irt.job import judge

_FIRST_PAUSE = 0.2


class CalibrationJobTrigger(BaseTrigger):
    """Polls a job with GET until it has ended, and cancels it when a user kills the task.

    It waits while the service is down for a short time: after a restart, the service still knows its jobs.

    :param endpoint: that of the job, relative to the connection's address.
    :param poll_interval: longest pause between two polls, in seconds; the first ones are shorter.
    :param patience: how long the service may be unreachable, in seconds.
    """

    def __init__(self, http_conn_id: str, endpoint: str, poll_interval: float = 10.0, patience: float = 600.0) -> None:
        # Airflow does not type it.
        super().__init__()  # type: ignore[no-untyped-call]
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
        """Yields one event, `{"status", "message"}`: one of `judge`, or `unreachable`."""
        event = await self._wait()
        yield TriggerEvent(event)

    async def _wait(self) -> dict[str, str]:
        await asyncio.sleep(settling_time())
        began = reached = time.monotonic()
        shown = None
        while True:
            try:
                status, text = await self._request("GET")
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                status, text = 0, f"{type(error).__name__}: {error}"
            if 0 < status < 500 and status not in {408, 425, 429}:
                reached = time.monotonic()
                event, progress = judge(status, text)
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
            # The end of a job is noticed late by a tenth of its time at most.
            pause = max(_FIRST_PAUSE, 0.1 * (time.monotonic() - began))
            await asyncio.sleep(min(pause, self.poll_interval))

    async def on_kill(self) -> None:
        status, _ = await self._request("DELETE")
        self.log.info("calibration job %s cancelled because its task was (HTTP %s)", self.endpoint, status)

    async def _request(self, method: str) -> tuple[int, str]:
        return await AsyncCalibrationHook(http_conn_id=self.http_conn_id).request(method, self.endpoint)


def settling_time() -> float:
    """How long a task must stay deferred at least, in seconds.

    The supervisor of the process that deferred may linger for `min_heartbeat_interval` after its end. If the task runs
    again before that, the scheduler takes the late report for the end of the new process, and retries a healthy task.
    """
    return 2.0 * conf.getint("workers", "min_heartbeat_interval")
