"""The service's end of its worker processes: starting them, speaking with one, ending it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import irt_engine
from irt_engine.service.cpus import usable_cpus
from irt_engine.service.limits import MEBIBYTE, TOKEN_VARIABLE, Limits
from irt_engine.service.problems import Problem, problem_from_contract

log = logging.getLogger(__name__)

_LAST_EVENTS = frozenset({"prepared", "done", "problem"})


class WorkerDied(Exception):
    """The process ended before its work did."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode

    def to_problem(self) -> Problem:
        if self.returncode == -signal.SIGKILL:
            cause = "was killed, as the system does when memory runs out"
        elif self.returncode < 0:
            cause = f"was ended by signal {-self.returncode}"
        else:
            cause = f"ended with status {self.returncode}"
        return Problem("worker-died", "The process that did the work ended early", 503, f"The worker process {cause}.")


class Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker is spoken with through pipes")
        self._process = process
        self._commands = process.stdin
        self._events = process.stdout
        self.idle = True

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, **command: Any) -> AsyncIterator[dict[str, Any]]:
        """Send a command and yield the events that it brings; the last is `prepared` or `done`.

        :raise Problem: when the worker refuses or fails.
        :raise WorkerDied: when it ends, killed or crashed.
        """
        self.idle = False
        with contextlib.suppress(ConnectionError):
            self._commands.write(json.dumps(command).encode() + b"\n")
            await self._commands.drain()
        while line := await self._events.readline():
            event = json.loads(line)
            self.idle = event["event"] in _LAST_EVENTS
            if event["event"] == "problem":
                raise problem_from_contract(event["problem"])
            yield event
            if self.idle:
                return
        raise WorkerDied(await self._process.wait())

    def kill(self) -> None:
        """End the process at once; it holds nothing that must be put in order."""
        self.idle = False
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        self.kill()
        await self._process.wait()


class Workers:
    """Starts workers, and keeps a few that have loaded their kernels ready for the next request."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._spares: list[Worker] = []
        self._all: set[Worker] = set()
        self._filling: asyncio.Task[None] | None = None
        self._closed = False

    async def take(self) -> Worker:
        """A worker that waits for a command; `refill` or `give_back` must follow."""
        while self._spares:
            spare = self._spares.pop(0)
            if spare.alive:
                return spare
        return await self._start()

    async def give_back(self, worker: Worker) -> None:
        """Keep a worker that has calibrated nothing for the next request, if there is need of one."""
        if worker.alive and worker.idle and len(self._spares) < self._limits.spare_workers:
            self._spares.append(worker)
        else:
            await worker.end()
            self.refill()

    def refill(self) -> None:
        """Start spares in the background up to their number."""
        if not self._closed and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    async def close(self) -> None:
        self._closed = True
        if self._filling:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in self._all))

    async def _fill(self) -> None:
        while len(self._spares) < self._limits.spare_workers:
            self._spares.append(await self._start())

    async def _start(self) -> Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "irt_engine.service.worker",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(),
            limit=MEBIBYTE,
        )
        worker = Worker(process)
        self._all = {other for other in self._all if other.alive} | {worker}
        return worker

    def _environment(self) -> dict[str, str]:
        """Ours, without the token, and so that the worker imports the same package from wherever it was found."""
        package = str(Path(irt_engine.__file__).parents[1])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        threads = max(1, usable_cpus() // self._limits.max_running)
        env = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        defaults = {"NUMBA_NUM_THREADS": str(threads)}
        return defaults | env | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
