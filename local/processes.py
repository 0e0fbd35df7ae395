"""Child processes that end with us, however we end.

Three nets, because one is never enough: a normal stop signals every child and waits; the supervisor is a
"child subreaper" (Linux), so what a child leaves behind comes to us and is ended too; and each child asks the kernel
for its stop signal when its parent dies, so that a `kill -9` of the supervisor leaves nothing running either. (Linux
means by that the thread which started the child: start children from the main thread.)
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOP_SECONDS = 15
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


@dataclass(frozen=True)
class Command:
    """What to run, and how it is asked to stop."""

    name: str
    arguments: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    user: str | None = None


class Supervisor:
    """Runs commands, each with its log file, and ends them all on exit (a context manager)."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.children: dict[str, tuple[Command, subprocess.Popen]] = {}
        # What ran before is not ours to end.
        self._others = {child.pid for child in psutil.Process().children(recursive=True)}
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Supervisor:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        # A polite `kill`, or a closed terminal, ends the same way as Ctrl-C.
        self._handlers = {name: signal.signal(name, _interrupt) for name in (signal.SIGTERM, signal.SIGHUP)}
        return self

    def __exit__(self, *exc_info: object) -> None:
        # A second Ctrl-C while stopping would leave children behind.
        self._handlers[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        for name in self._handlers:
            signal.signal(name, signal.SIG_IGN)
        self.stop()
        for name, handler in self._handlers.items():
            signal.signal(name, handler)

    def start(self, command: Command) -> subprocess.Popen:
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{command.name}.log").open("ab") as log:
            child = subprocess.Popen(
                command.arguments,
                env={**os.environ, **command.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which stops in order.
                start_new_session=True,
                preexec_fn=lambda: _prepare_child(command),
            )
        self.children[command.name] = (command, child)
        return child

    def alive(self, name: str) -> bool:
        return self.children[name][1].poll() is None

    def fallen(self) -> str | None:
        """The name of a child that has ended, if any."""
        return next((name for name in self.children if not self.alive(name)), None)

    def kill(self, name: str, with_signal: int) -> None:
        """Send a signal to one child and wait for its end."""
        _, child = self.children.pop(name)
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(with_signal)
        child.wait(_STOP_SECONDS)

    def stop(self) -> None:
        """End the children, the last started first, then whatever they left behind."""
        for command, child in reversed(list(self.children.values())):
            if child.poll() is None:
                child.send_signal(getattr(signal, command.stop_signal))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_STOP_SECONDS)
            _end_all(_descendants_of(child.pid))
            if child.poll() is None:
                child.kill()
                child.wait()
        self.children.clear()
        _end_all([child for child in psutil.Process().children(recursive=True) if child.pid not in self._others])

    def tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a child's log."""
        file = self.logs / f"{name}.log"
        text = file.read_text(errors="replace") if file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _prepare_child(command: Command) -> None:
    """Runs in the child before exec: drop root where asked, then tie the child's life to ours.

    The order matters: the kernel forgets the death signal when a process changes its user.
    """
    if command.user:
        entry = pwd.getpwnam(command.user)
        os.setgroups([g.gr_gid for g in grp.getgrall() if command.user in g.gr_mem] + [entry.pw_gid])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    _prctl(_PR_SET_PDEATHSIG, getattr(signal, command.stop_signal))


def _descendants_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=5)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def wait_until(ready, *, seconds: float, what: str, check=lambda: None, pause: float = 0.2) -> None:
    """Call `ready` until it is true; `check` may raise to give up early.

    :raise RuntimeError: after `seconds`, naming `what`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(pause)
