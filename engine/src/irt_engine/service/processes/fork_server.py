"""The process that workers are forked from: it has loaded all a calibration needs, and calibrates nothing itself.

So each calibration has its own process, and does not wait for interpreter, packages and kernels to load. `workers.py`
starts it, never a user. Commands arrive as JSON lines on the standard input, a Unix socket: `fork` with the worker's
memory limit in bytes and one end of a socket pair for talking to the service; `kill` with the worker's process id;
`ping`, which is answered. The original standard output reports which worker was forked, and which ended with which
status. When the input ends, the service is gone, and this process and all workers end too.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import select
import signal
import socket
import sys
from typing import Any, TextIO

import numpy as np

from irt_engine import warm_up
from irt_engine.kernels import threads
from irt_engine.service.processes import worker
from irt_engine.service.requests.observations import Observations

_UNHURRIED_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
_COMMAND_BYTES = 4096


class ForkServer:
    """Forks, reaps and reports. It has one thread, so that a fork never copies a lock that another one holds."""

    def __init__(self, commands: socket.socket, reports: TextIO) -> None:
        self._commands, self._reports = commands, reports
        self._alive: set[int] = set()
        self._wakeup, wakened = socket.socketpair()
        for end in (self._wakeup, wakened):
            end.setblocking(False)
        self._wakened = wakened
        signal.set_wakeup_fd(wakened.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Handle commands until the service is gone."""
        warm = False
        while True:
            ready, _, _ = select.select([self._commands, self._wakeup], [], [], None if warm else _UNHURRIED_SECONDS)
            if not ready:
                # Idle: compile now.
                _warm_up()
                warm = True
            if self._wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    self._wakeup.recv(_COMMAND_BYTES)
                self._reap()
            if self._commands in ready:
                text, descriptors, _, _ = socket.recv_fds(self._commands, _COMMAND_BYTES, 8)
                if not text:
                    os._exit(1)
                for line in text.splitlines():
                    self._obey(json.loads(line), descriptors)

    def _obey(self, command: dict[str, Any], descriptors: list[int]) -> None:
        pid = command.get("kill")
        if "ping" in command:
            self._report(alive=1)
        elif pid is None:
            self._fork(descriptors.pop(0), command["fork"])
        # A reaped worker's id may belong to another process by now.
        elif pid in self._alive:
            os.kill(pid, signal.SIGKILL)

    def _fork(self, descriptor: int, max_bytes: int) -> None:
        us = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._become_worker(us, descriptor, max_bytes)
            finally:
                os._exit(1)
        os.close(descriptor)
        self._alive.add(pid)
        self._report(forked=pid)

    def _become_worker(self, parent: int, descriptor: int, max_bytes: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for ours in (self._commands, self._wakeup, self._wakened, self._reports):
            ours.close()
        tie_to(parent)
        worker.main(socket.socket(fileno=descriptor), max_bytes)

    def _reap(self) -> None:
        while self._alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._alive.discard(pid)
            self._report(exited=pid, status=os.waitstatus_to_exitcode(status))

    def _report(self, **report: int) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._reports.write(json.dumps(report) + "\n")
            self._reports.flush()


def tie_to(parent: int) -> None:
    """End with the parent, even if it is killed while a long kernel runs."""
    # The service decides when we end; a Ctrl-C or a stop of the whole process group is meant for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _warm_up() -> None:
    warm_up()
    # The first Arrow array made of Python values imports pandas if installed.
    Observations(["u"], ["i"], np.zeros(1, dtype=np.int8)).to_arrow()
    threads.close()


def main(parent: int) -> None:
    tie_to(parent)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s worker %(process)d: %(message)s")
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Output of libraries must not mix with our lines: the standard output becomes the log.
    os.dup2(2, 1)
    ForkServer(socket.socket(fileno=os.dup(0)), reports).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
