"""Runs a bounded number of jobs at once; the others wait in a bounded queue, the oldest first."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from irt_engine.service.job import BODY_FILE, CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, Job, now
from irt_engine.service.jobs.places import Places
from irt_engine.service.jobs.store import JobStore, discard_responses
from irt_engine.service.limits import Limits
from irt_engine.service.metrics import Metrics
from irt_engine.service.problems import Problem, internal, problem_from, unavailable
from irt_engine.service.processes.workers import Worker, WorkerDied, Workers
from irt_engine.service.requests.media import Media
from irt_engine.service.tracing import Traces

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
# Wall-clock time may exceed processor time by this factor.
_BUSY_MACHINE = 20
# Time for killed workers to exit.
_END_SECONDS = 1.0


@dataclass
class RunningJob:
    """A running job. `stopped`: the reason it was stopped; decides the job's final status."""

    job: Job
    worker: Worker | None = None
    stopped: str | None = None

    def stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        if self.worker:
            self.worker.kill()


class Preparation:
    """A checked submission: what the worker found, and the worker itself, which still holds the responses."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.found: dict[str, Any] = {}
        self.given_up = False
        self._kept = False

    def keep(self) -> Worker:
        """Take over the worker."""
        self._kept = True
        return self.worker

    def give_up(self) -> None:
        self.given_up = True
        self.worker.kill()

    async def close(self) -> None:
        if not self._kept:
            await self.worker.end()


class Runner:
    """Prepares submissions and runs jobs, each in its own process."""

    def __init__(self, store: JobStore, workers: Workers, limits: Limits, metrics: Metrics, traces: Traces) -> None:
        self._store = store
        self._workers = workers
        self._limits = limits
        self._metrics = metrics
        self._traces = traces
        self._queue: deque[tuple[Job, Worker | None]] = deque()
        self._runs: dict[str, RunningJob] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.places = Places(limits, metrics, lambda: self.queued + self.running)
        self._preparations: set[Preparation] = set()
        # Set when the service shuts down, so that nothing waits for a client any longer.
        self.closing = asyncio.Event()

    @property
    def stopping(self) -> bool:
        return self.closing.is_set()

    @property
    def status(self) -> str:
        """The status in `/healthz`."""
        if self.stopping:
            return "stopping"
        return "recovering" if self._workers.standing_still else "ok"

    @property
    def running(self) -> int:
        return len(self._runs)

    @property
    def queued(self) -> int:
        return len(self._queue)

    def check_open(self) -> None:
        """:raise Problem: 503 if the service is shutting down."""
        if self.stopping:
            raise unavailable("The service is shutting down.")

    @asynccontextmanager
    async def prepared(self, folder: Path, kind: str, media: Media, client: str) -> AsyncIterator[Preparation]:
        """Have a worker check a submission whose body is in `folder`.

        :raise Problem: what the worker found wrong; 503 if it took too long.
        """
        async with self.places.preparing(client):
            self.check_open()
            preparation = Preparation(await self._take())
            self._preparations.add(preparation)
            try:
                await self._prepare(preparation, folder, kind, media)
                yield preparation
            finally:
                self._preparations.discard(preparation)
                await preparation.close()

    async def _take(self) -> Worker:
        """:raise Problem: no worker can be started, or the service is shutting down. (The first one takes a while.)"""
        taking = asyncio.ensure_future(self._workers.take())
        ending = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({taking, ending}, return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                worker = taking.result()
            self.check_open()
            return worker
        except WorkerDied as death:
            self.check_open()
            raise self._death(death) from None
        finally:
            taking.cancel()
            ending.cancel()

    async def _prepare(self, preparation: Preparation, folder: Path, kind: str, media: Media) -> None:
        seconds = self._limits.seconds_to_prepare((folder / BODY_FILE).stat().st_size)
        # The worker's own limit counts processor time; a hanging worker uses none.
        patience = min(self._limits.max_job_seconds, _BUSY_MACHINE * seconds)
        timer = asyncio.get_running_loop().call_later(patience, preparation.give_up)
        command = {"folder": str(folder), "kind": kind, "media": asdict(media), "limits": asdict(self._limits)}
        try:
            async for event in preparation.worker.ask(do="prepare", seconds=seconds, **command):
                preparation.found = event
        except WorkerDied as death:
            self.check_open()
            if preparation.given_up or death.returncode == -signal.SIGXCPU:
                raise _checked_too_slowly(seconds) from None
            raise self._death(death) from None
        finally:
            timer.cancel()

    def enqueue(self, job: Job, preparation: Preparation | None = None) -> None:
        """Run the job when its turn comes; its worker is kept only if it starts at once."""
        starts_now = not self._queue and self.running < self._limits.max_running and not self.stopping
        worker = preparation.keep() if preparation and starts_now else None
        self._queue.append((job, worker))
        self._start_next()
        if self.stopping:
            job.ended.set()

    async def cancel(self, job: Job) -> None:
        """Cancel the job if it has not ended, and wait for its end."""
        waiting = next((entry for entry in self._queue if entry[0] is job), None)
        if waiting:
            self._queue.remove(waiting)
            await self._finish(job, status=CANCELLED)
        elif run := self._runs.get(job.id):
            run.stop("cancelled")
        await job.ended.wait()

    async def stop(self) -> None:
        """Accept nothing new; let running jobs finish within the grace, then queue the others for the next start."""
        self.closing.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._limits.shutdown_grace_seconds)
        for preparation in self._preparations:
            preparation.give_up()
        for run in self._runs.values():
            run.stop("service")
        # A hanging fork server kills no worker, but its own end does.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_SECONDS)
        await self._workers.close()
        await asyncio.gather(*self._tasks)
        for job, _ in self._queue:
            job.ended.set()

    def _start_next(self) -> None:
        while self._queue and self.running < self._limits.max_running and not self.stopping:
            job, worker = self._queue.popleft()
            run = self._runs[job.id] = RunningJob(job, worker)
            task = asyncio.create_task(self._run(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, run: RunningJob) -> None:
        job = run.job
        try:
            changes = await self._outcome(run)
        except Exception as error:
            log.exception("job %s failed", job.id)
            changes = _failure(problem_from(error))
        finally:
            if run.worker:
                await run.worker.end()
        try:
            await self._finish(job, **changes)
        finally:
            del self._runs[job.id]
            self._start_next()

    async def _outcome(self, run: RunningJob) -> dict[str, Any]:
        """Run the job to its end; return the fields that change."""
        job = run.job
        if job.attempts >= _MAX_ATTEMPTS:
            detail = f"The service ended {job.attempts} times while this job ran; it is not tried again."
            return _failure(Problem("worker-died", "The job could not be finished", 503, detail))
        await self._store.update(job, status=RUNNING, started_at=now(), attempts=job.attempts + 1)
        timer = asyncio.get_running_loop().call_later(self._limits.max_job_seconds, run.stop, "too slow")
        try:
            run.worker = run.worker or await self._workers.take()
            if run.stopped:
                return self._stopped(run)
            timings = await self._follow(run.worker, job)
        except WorkerDied as death:
            return self._stopped(run) if run.stopped else _failure(self._death(death))
        except Problem as problem:
            return _failure(problem)
        finally:
            timer.cancel()
        return {"status": SUCCEEDED, "timings": job.timings | timings}

    async def _follow(self, worker: Worker, job: Job) -> dict[str, float]:
        async for event in worker.ask(do="run", folder=str(job.folder), kind=job.kind):
            if event["event"] == "progress":
                job.progress = {name: event[name] for name in ("iteration", "loglik", "max_change")}
            elif event["event"] == "done":
                timings: dict[str, float] = event["timings"]
                return timings
        raise internal()

    def _stopped(self, run: RunningJob) -> dict[str, Any]:
        if run.stopped == "service" and run.job.kept:
            # A shutdown is not the job's fault, so it must not count as an attempt.
            attempts = run.job.attempts - 1
            return {"status": QUEUED, "started_at": None, "progress": None, "attempts": attempts}
        if run.stopped == "service":
            return _failure(unavailable("The service is shutting down."))
        if run.stopped == "too slow":
            return _failure(self._too_slow())
        return {"status": CANCELLED}

    def _death(self, death: WorkerDied) -> Problem:
        return death.to_problem(self._workers.max_bytes)

    def _too_slow(self) -> Problem:
        detail = f"The job ran for {self._limits.max_job_seconds:g} seconds, the most that this service allows."
        return Problem("job-timeout", "The job took too long", 503, detail)

    async def _finish(self, job: Job, status: str, **changes: Any) -> None:
        if status == QUEUED:
            await self._store.update(job, status=status, **changes)
            job.ended.set()
            return
        await self._store.update(job, status=status, finished_at=now(), **changes)
        # Only after the record is written: after a crash in between, the job would run again without its responses.
        await asyncio.to_thread(discard_responses, job.folder)
        job.ended.set()
        self._metrics.job_ended(job)
        self._traces.job_ended(job)
        trace = f", trace {job.trace_id}" if job.trace_id else ""
        log.info("job %s %s, %s%s", job.id, status, job.timings, trace)


def _checked_too_slowly(seconds: float) -> Problem:
    detail = f"To unpack and check the request took more than {seconds:.0f} seconds, the most that is allowed for it."
    return Problem("job-timeout", "The request took too long to check", 503, detail)


def _failure(problem: Problem) -> dict[str, Any]:
    return {"status": FAILED, "error": problem.to_contract()}
