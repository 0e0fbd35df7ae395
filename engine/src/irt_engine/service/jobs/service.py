"""One running service: the state that its routes share, its start and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

from irt_engine.service.jobs.runner import Runner
from irt_engine.service.jobs.store import JobStore
from irt_engine.service.limits import Limits
from irt_engine.service.metrics import Metrics
from irt_engine.service.processes.workers import Workers
from irt_engine.service.tracing import Traces

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 60.0


class Service:
    """:raise StateInUse: another service uses `state_dir`."""

    def __init__(self, state_dir: Path, limits: Limits) -> None:
        self.limits = limits
        self.metrics = Metrics()
        self.store = JobStore(state_dir)
        # Held while a result is converted to JSON.
        self.writing_json = asyncio.Lock()
        self.workers = Workers(limits)
        self.traces = Traces.from_environment()
        self.runner = Runner(self.store, self.workers, limits, self.metrics, self.traces)
        self.metrics.gauge("irt_jobs", "Jobs under way.", self._jobs_under_way)
        self.metrics.gauge("irt_jobs_kept", "Jobs whose record is kept.", lambda: {(): len(self.store.newest_first())})

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Resume the unfinished jobs of an earlier service; at the end, leave the rest to a later one."""
        unfinished = self.store.load()
        for job in unfinished:
            log.info("job %s is resumed", job.id)
            self.runner.enqueue(job)
        await self.workers.start()
        sweeper = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
            await self.runner.stop()
            await self.workers.close()
            await self.traces.close()
            self.store.close()

    async def _sweep(self) -> None:
        keep = self.limits.keep_results_seconds
        while True:
            removed = await self.store.remove_expired(keep, time.time)
            if removed:
                log.info("%d expired jobs were removed", removed)
            await asyncio.sleep(min(_SWEEP_SECONDS, max(keep / 4, 0.1)))

    def _jobs_under_way(self) -> dict[tuple[tuple[str, str], ...], float]:
        counts = {"running": self.runner.running, "queued": self.runner.queued}
        return {(("status", status),): count for status, count in counts.items()}
