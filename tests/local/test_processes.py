"""No process outlives its parent, however the parent ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from local.processes import Command, Supervisor
from local.waiting import wait_until

# Only a signal ends it.
_FOREVER = "import signal\nwhile True: signal.pause()"

# A child with a grandchild; a stubborn child ignores SIGTERM.
_CHILD = f"""
import signal, subprocess, sys
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {_FOREVER!r}], start_new_session=True)
print(child.pid, flush=True)
{_FOREVER}
"""

_SUPERVISOR = """
import signal, sys
from pathlib import Path
from local.processes import Command, Supervisor
# A shell starts background jobs with SIGINT ignored, and tests may run in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Supervisor(Path(sys.argv[1])) as supervisor:
    child = supervisor.start(Command("child", [sys.executable, "-c", sys.argv[3], sys.argv[2]]))
    try:
        print(child.pid, flush=True)
        while True: signal.pause()
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture
def left():
    """The test's process ids; all are killed at its end, even if it fails."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def start(tmp_path, left, manner: str = "polite") -> tuple[subprocess.Popen, list[int]]:
    """A supervisor in a separate process, and the pids of its child and grandchild."""
    arguments = [sys.executable, "-c", _SUPERVISOR, str(tmp_path), manner, _CHILD]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)
    left.append(process.pid)
    child = int(process.stdout.readline())
    left.append(child)
    left.append(grandchild(tmp_path))
    return process, left[1:]


def grandchild(tmp_path) -> int:
    log = tmp_path / "child.log"
    return int(wait_until(lambda: log.exists() and log.read_text().strip(), what="the grandchild"))


def wait_for_end(process: subprocess.Popen) -> int:
    wait_until(lambda: process.poll() is not None, what="the end of the supervisor", pause=0.05)
    return process.returncode


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pids: list[int]) -> bool:
    return not any(is_alive(pid) for pid in pids)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ended_supervisor_leaves_nothing(tmp_path, left, sent):
    process, pids = start(tmp_path, left)
    process.send_signal(sent)
    assert wait_for_end(process) == 0
    assert gone(pids)


def test_impatience_leaves_nothing(tmp_path, left):
    """Repeated Ctrl-C until the end."""
    process, pids = start(tmp_path, left)

    def ended() -> bool:
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    wait_until(ended, what="the end of the supervisor", pause=0.01)
    assert gone(pids)


def test_a_stubborn_child_is_killed(tmp_path, left, monkeypatch):
    monkeypatch.setattr("local.processes._STOP_STILL", 1)
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(Command("child", [sys.executable, "-c", _CHILD, "stubborn"]))
        left += [child.pid, grandchild(tmp_path)]
    assert gone(left)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_killed_supervisor_takes_its_children_along(tmp_path, left):
    """Only the child: a grandchild is the child's own task, which this one does not do. Airflow's: see tests/e2e."""
    process, (child, _) = start(tmp_path, left)
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(child), what="the end of the child", work=lambda: None)


def test_what_others_started_is_left_alone(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", _FOREVER])
    before = [signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    try:
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(Command("child", [sys.executable, "-c", _FOREVER]))
        assert other.poll() is None
        assert [signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before
    finally:
        other.kill()
        other.wait()


def test_what_another_supervisor_starts_meanwhile_is_left_alone(tmp_path):
    forever = Command("child", [sys.executable, "-c", _FOREVER])
    with Supervisor(tmp_path / "longer") as longer:
        with Supervisor(tmp_path / "shorter") as shorter:
            own, other = shorter.start(forever), longer.start(forever)
        assert own.poll() is not None and other.poll() is None
    assert other.poll() is not None


def test_a_fallen_child_is_named_with_its_last_words(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(Command("short", [sys.executable, "-c", "print('the last words')"]))
        child.wait()
        assert supervisor.fallen() == "short"
        assert supervisor.tail("short") == "the last words"
