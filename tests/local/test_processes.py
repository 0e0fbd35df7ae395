"""No process outlives the one that started it, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from local.processes import Command, Supervisor, wait_until

# A child with a grandchild; the child ignores a polite request if told so.
_CHILD = """
import signal, subprocess, sys, time
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(300)
"""

_SUPERVISOR = """
import signal, sys, time
from pathlib import Path
from local.processes import Command, Supervisor
# A shell starts what it runs in the background with SIGINT ignored, and tests are such a thing at times.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Supervisor(Path(sys.argv[1])) as supervisor:
    child = supervisor.start(Command("child", [sys.executable, "-c", sys.argv[3], sys.argv[2]]))
    print(child.pid, flush=True)
    try:
        time.sleep(300)
    except KeyboardInterrupt:
        pass
"""


def start(tmp_path, manner: str = "polite") -> tuple[subprocess.Popen, list[int]]:
    """A supervisor in a process of its own, and the pids of its child and grandchild."""
    arguments = [sys.executable, "-c", _SUPERVISOR, str(tmp_path), manner, _CHILD]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)
    child = int(process.stdout.readline())
    log = tmp_path / "child.log"
    wait_until(lambda: log.exists() and log.read_text().strip(), seconds=20, what="the grandchild")
    return process, [child, int(log.read_text())]


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]
        if not alive:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ended_supervisor_leaves_nothing(tmp_path, sent):
    process, pids = start(tmp_path)
    process.send_signal(sent)
    assert process.wait(30) == 0
    assert gone(pids, 2)


def test_impatience_leaves_nothing(tmp_path):
    process, pids = start(tmp_path)
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    process.wait(30)
    assert gone(pids, 2)


def test_a_stubborn_child_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("local.processes._STOP_SECONDS", 1)
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(Command("child", [sys.executable, "-c", _CHILD, "stubborn"]))
        wait_until(lambda: (tmp_path / "child.log").read_text().strip(), seconds=20, what="the grandchild")
        grandchild = int((tmp_path / "child.log").read_text())
    assert gone([child.pid, grandchild], 2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_killed_supervisor_takes_its_children_along(tmp_path):
    process, (child, grandchild) = start(tmp_path)
    process.kill()
    process.wait(10)
    assert gone([child], 10)
    # The grandchild is its parent's business; that of this test has none. See the end-to-end tests for Airflow's.
    os.kill(grandchild, signal.SIGKILL)


def test_what_others_started_is_left_alone(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    before = [signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    try:
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(Command("child", [sys.executable, "-c", "import time; time.sleep(300)"]))
        assert other.poll() is None
        assert [signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before
    finally:
        other.kill()
        other.wait()


def test_a_fallen_child_is_named_with_its_last_words(tmp_path):
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(Command("short", [sys.executable, "-c", "print('the last words')"]))
        child.wait(20)
        assert supervisor.fallen() == "short"
        assert supervisor.tail("short") == "the last words"
