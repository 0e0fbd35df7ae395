"""Child processes that end with us, however we end.

Three safety nets: a normal stop signals every child and waits; the supervisor is a "child subreaper" (Linux), so it
inherits and ends what a child leaves behind; and each child asks the kernel for its stop signal when its parent dies,
so that even `kill -9` of the supervisor leaves nothing running. (To Linux, the parent is the thread that started the
child: start children from the main thread.)
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local.waiting import StandstillError, log_size, processor_seconds, processor_time, wait_until

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# In seconds. A child is asked to stop again every `_ASK_AGAIN`, because a Python program can lose a signal (Airflow's
# scheduler sometimes does, during a garbage collection). It is killed after `_STOP_STILL` of doing next to nothing
# (Airflow's triggerer waits ten seconds for a child that has already exited), or once it has used `_STOP_PROCESSOR` of
# processor time.
_ASK_AGAIN, _STOP_STILL, _STOP_PROCESSOR = 10.0, 2.0, 10.0
# Less processor time than this, in seconds, is not work: an idle child uses a hundredth of a core.
_STOP_TRICKLE = 0.2
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


@dataclass(frozen=True)
class Command:
    """What to run, and how to stop it.

    :ivar needed: order of stopping: commands with a higher number stop later, because others need them to stop.
    """

    name: str
    arguments: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    user: str | None = None
    needed: int = 0


_RUNNING: set[Supervisor] = set()


class Supervisor:
    """Runs commands, each with its log file, and ends them all on exit (a context manager)."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.children: dict[str, tuple[Command, subprocess.Popen]] = {}
        # Children that were running before are not ours to end.
        self._others = {child.pid for child in psutil.Process().children(recursive=True)}
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Supervisor:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _RUNNING.add(self)
        # A plain `kill` or a closed terminal stops us the same way as Ctrl-C.
        self._handlers = {name: signal.signal(name, _interrupt) for name in (signal.SIGTERM, signal.SIGHUP)}
        return self

    def __exit__(self, *exc_info: object) -> None:
        # A second Ctrl-C while stopping would leave children behind.
        self._handlers[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        for name in self._handlers:
            signal.signal(name, signal.SIG_IGN)
        self.stop()
        _RUNNING.discard(self)
        for name, handler in self._handlers.items():
            signal.signal(name, handler)

    def start(self, command: Command) -> subprocess.Popen:
        self.logs.mkdir(parents=True, exist_ok=True)
        with self.log_of(command.name).open("ab") as log:
            child = subprocess.Popen(
                command.arguments,
                env={**os.environ, **command.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # In a new session, so that Ctrl-C reaches only the supervisor, which stops the children in order.
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
        _wait_for_end([child])

    def stop(self) -> None:
        """Stop the children in the order of `needed`, then whatever they left behind."""
        for needed in sorted({command.needed for command, _ in self.children.values()}):
            ending = [(command, child) for command, child in self.children.values() if command.needed == needed]
            _ask_to_stop(ending)
            _wait_for_end([child for _, child in ending], lambda ending=ending: _ask_to_stop(ending))
            for _, child in ending:
                left = _descendants_of(child.pid)
                if child.poll() is None:
                    child.kill()
                    child.wait()
                _end_all(left)
        self.children.clear()
        spared = self._others | self._of_other_supervisors()
        _end_all([child for child in psutil.Process().children(recursive=True) if child.pid not in spared])

    def _of_other_supervisors(self) -> set[int]:
        """Children, with their descendants, that supervisors of this process started after this one."""
        pids = {child.pid for other in _RUNNING if other is not self for _, child in other.children.values()}
        return pids | {each.pid for pid in pids for each in _descendants_of(pid)}

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self.children[name][1].pid)

    def work(self, *names: str) -> tuple[int, ...]:
        """Signs of work of these children and their descendants: processor seconds and the sizes of their logs."""
        alive = [self.process(name) for name in names if name in self.children and self.alive(name)]
        return processor_seconds(alive), *(log_size(self.log_of(name)) for name in names)

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a child's log."""
        file = self.log_of(name)
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


def _ask_to_stop(ending: list[tuple[Command, subprocess.Popen]]) -> None:
    for command, child in reversed(ending):
        if child.poll() is None:
            child.send_signal(getattr(signal, command.stop_signal))


def _wait_for_end(children: list[subprocess.Popen], ask_again: Callable[[], None] = lambda: None) -> None:
    """Wait until they have exited, or show no sign of doing so."""

    def work() -> float:
        with contextlib.suppress(psutil.NoSuchProcess):
            return processor_time([psutil.Process(child.pid) for child in children if child.poll() is None])
        return 0.0

    asked = time.monotonic()
    before = sign = work()

    def moved() -> float:
        nonlocal sign
        if (now := work()) - sign > _STOP_TRICKLE:
            sign = now
        return sign

    def check() -> None:
        nonlocal asked
        if time.monotonic() - asked > _ASK_AGAIN:
            asked = time.monotonic()
            ask_again()
            if work() - before > _STOP_PROCESSOR:
                raise StandstillError("they keep running although they were asked to stop")

    with contextlib.suppress(StandstillError):
        wait_until(
            lambda: all(child.poll() is not None for child in children),
            what="the end of the children", work=moved, check=check, pause=0.05, still=_STOP_STILL,
        )  # fmt: skip


def _end_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=5)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)
