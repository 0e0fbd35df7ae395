"""The service's side of its worker processes: forks them, talks to them, ends them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import irt_engine
from irt_engine.service.limits import MEBIBYTE, PREPARING_AT_ONCE, TOKEN_VARIABLE, Limits
from irt_engine.service.memory_limit import share_of_memory
from irt_engine.service.problems import Problem, needs_too_much_memory, problem_from_contract
from irt_engine.service.processes.cpus import usable_cpus
from irt_engine.service.processes.heartbeat import Heartbeat

log = logging.getLogger(__name__)

_LAST_EVENTS = frozenset({"prepared", "done", "problem"})


class WorkerDied(Exception):
    """The process ended before its work did."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode

    def to_problem(self, max_bytes: int) -> Problem:
        # Libraries abort if they do not get the memory they request.
        if self.returncode == -signal.SIGABRT:
            return needs_too_much_memory(max_bytes)
        if self.returncode == -signal.SIGKILL:
            cause = "was killed, as the system does when memory runs out"
        elif self.returncode < 0:
            cause = f"was ended by signal {-self.returncode}"
        else:
            cause = f"ended with status {self.returncode}"
        return Problem("worker-died", "The process that did the work ended early", 503, f"The worker process {cause}.")


class Worker:
    """One process.

    :param kill: ends the process; `ended`: resolves to its exit status.
    """

    def __init__(
        self, pid: int, events: asyncio.StreamReader, commands: asyncio.StreamWriter, ended: asyncio.Future[int],
        kill: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.pid = pid
        self._events, self._commands = events, commands
        self._ended, self._kill = ended, kill

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    async def ask(self, **command: Any) -> AsyncIterator[dict[str, Any]]:
        """Send a command and yield its events; the last is `prepared` or `done`.

        :raise Problem: the worker refuses or fails.
        :raise WorkerDied: it was killed or crashed.
        """
        with contextlib.suppress(ConnectionError):
            self._commands.write(json.dumps(command).encode() + b"\n")
            await self._commands.drain()
        while line := await self._line():
            event = json.loads(line)
            if event["event"] == "problem":
                raise problem_from_contract(event["problem"])
            yield event
            if event["event"] in _LAST_EVENTS:
                return
        raise WorkerDied(await asyncio.shield(self._ended))

    async def _line(self) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await self._events.readline()
        return b""

    def kill(self) -> None:
        """End the process at once; there is nothing to clean up."""
        if self.alive:
            self._kill(self.pid)

    async def end(self) -> None:
        self.kill()
        await asyncio.shield(self._ended)
        self._commands.close()


class Workers:
    """Forks workers through a single fork server, which is replaced when it dies or hangs."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.max_bytes = limits.max_worker_bytes or share_of_memory(limits.max_running + PREPARING_AT_ONCE)
        log.info("a worker may take %d MiB of memory", self.max_bytes // MEBIBYTE)
        self._fork_server: ForkServerProcess | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    @property
    def standing_still(self) -> bool:
        """Whether the fork server hangs; it will be replaced."""
        return self._fork_server is not None and self._fork_server.alive and self._fork_server.heartbeat.is_late

    async def start(self) -> None:
        """Start the fork server, so that it is ready when the first request comes."""
        async with self._starting:
            if not self._closed and (self._fork_server is None or not self._fork_server.alive):
                self._fork_server = await ForkServerProcess.start(self._environment(), self._limits.fork_server_seconds)

    async def take(self) -> Worker:
        """A new worker.

        :raise WorkerDied: the fork server died, and so did its successor.
        """
        try:
            return await self._fork()
        except WorkerDied:
            # Nothing had begun, so try again silently.
            return await self._fork()

    async def _fork(self) -> Worker:
        await self.start()
        if self._fork_server is None:
            raise WorkerDied(-signal.SIGKILL)
        return await self._fork_server.fork(self.max_bytes)

    async def close(self) -> None:
        """End the fork server and all workers, and start no other."""
        self._closed = True
        if self._fork_server:
            await self._fork_server.end()

    def _environment(self) -> dict[str, str]:
        """Our environment without the token, and with the path from which the fork server imports the same package."""
        package = str(Path(irt_engine.__file__).parents[1])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        threads = max(1, usable_cpus() // self._limits.max_running)
        env = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        # Our processes have one thread when they fork, but macOS cannot know that.
        defaults = {"NUMBA_NUM_THREADS": str(threads), "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}
        # When memory runs out, the JSON parser's backtrace of the failed allocation would hang.
        fixed = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", "RUST_BACKTRACE": "0"}
        return defaults | env | fixed


class ForkServerProcess:
    """The service's side of `fork_server.py`."""

    def __init__(self, process: asyncio.subprocess.Process, commands: socket.socket, patience: float) -> None:
        self._process, self._commands = process, commands
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._forked: deque[asyncio.Future[int]] = deque()
        self.heartbeat = Heartbeat(process.pid, lambda: self._send(ping=1))
        self._watching = asyncio.create_task(self._watch())
        self._replacing = asyncio.create_task(self._end_when_lost(patience))

    @classmethod
    async def start(cls, environment: Mapping[str, str], patience: float) -> ForkServerProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "irt_engine.service.processes.fork_server", str(os.getpid()),
                stdin=theirs.fileno(), stdout=asyncio.subprocess.PIPE, env=environment,
            )  # fmt: skip
        return cls(process, ours, patience)

    @property
    def alive(self) -> bool:
        return not self._watching.done()

    async def fork(self, max_bytes: int) -> Worker:
        """:raise WorkerDied: the fork server itself died."""
        if not self.alive:
            raise WorkerDied(-signal.SIGKILL)
        forked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._forked.append(forked)
        ours, theirs = socket.socketpair()
        with theirs, contextlib.suppress(ConnectionError):
            socket.send_fds(self._commands, [json.dumps({"fork": max_bytes}).encode() + b"\n"], [theirs.fileno()])
        events, commands = await asyncio.open_connection(sock=ours, limit=MEBIBYTE)
        pid = await forked
        return Worker(pid, events, commands, self._ended[pid], self._kill)

    async def end(self) -> None:
        """End it with all workers."""
        self._commands.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._watching

    def _kill(self, pid: int) -> None:
        self._send(kill=pid)

    def _send(self, **command: int) -> None:
        with contextlib.suppress(OSError):
            self._commands.sendall(json.dumps(command).encode() + b"\n")

    async def _end_when_lost(self, patience: float) -> None:
        await self.heartbeat.lost(patience)
        log.error("the process that forks workers hangs: it is ended, with all workers, and replaced")
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _watch(self) -> None:
        """Read which workers were forked and which ended, until the fork server ends, and its workers with it."""
        reports = self._process.stdout
        while reports and (line := await reports.readline()):
            report = json.loads(line)
            if "alive" in report:
                self.heartbeat.answered()
            elif "forked" in report:
                self._ended[report["forked"]] = asyncio.get_running_loop().create_future()
                _settle(self._forked.popleft(), report["forked"])
            else:
                _settle(self._ended.pop(report["exited"]), report["status"])
        status = await self._process.wait()
        self._replacing.cancel()
        for ended in self._ended.values():
            _settle(ended, status)
        for forked in self._forked:
            if not forked.done():
                forked.set_exception(WorkerDied(status))


def _settle(future: asyncio.Future[int], value: int) -> None:
    # The waiting task may have been cancelled.
    if not future.done():
        future.set_result(value)
