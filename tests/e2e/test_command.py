"""`./irt` itself, as a process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.waiting import processor_seconds, wait_until

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e


def irt(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "irt", *arguments], capture_output=True, text=True, **options)


def test_alone_it_prints_its_commands():
    done = irt()
    assert done.returncode == 0
    for name in ("demo", "up", "status", "psql", "test", "setup"):
        assert f"\n  {name} " in done.stdout


def test_an_unknown_command():
    done = irt("demmo")
    assert done.returncode == 1
    assert "unknown command: demmo" in done.stderr


def test_too_old_a_python(tmp_path):
    """On a machine whose only Python is too old, it says so. (The old Python is a fake.)"""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("bash", "dirname", "cat", "cksum", "mkdir", "flock", "sed"):
        (tmp_path / name).symlink_to(next(p for p in (f"/usr/bin/{name}", f"/bin/{name}") if os.path.exists(p)))
    copy = tmp_path / "copy"
    (copy / "engine").mkdir(parents=True)
    for name in ("irt", "requirements.txt", "engine/pyproject.toml"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["/bin/bash", copy / "irt", "setup"], capture_output=True, text=True, env={"PATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert "Python 3.10 or newer is needed" in done.stderr


def _family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_up_ends_without_leaving_a_process(tmp_path, own_airflow, sent):
    code = (
        "import sys; from pathlib import Path; from local.home import Home; from local import up;"
        "from local.stack import free_port; home = Home(Path(sys.argv[1])).make();"
        "sys.exit(up.run(home, port=free_port(), say=lambda text: print(text, flush=True)))"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "irt")]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True, preexec_fn=heed_interrupts
    )
    try:
        for line in process.stdout:
            if "Ctrl-C stops everything" in line:
                break
        family = _family(process.pid)
        names = [_command(p).replace("_", "-") for p in family]
        for part in ("postgres -D", "irt-engine", "scheduler", "api-server", "dag-processor", "triggerer"):
            assert [name for name in names if part in name], names
        process.send_signal(sent)
        process.wait()
        wait_until(
            lambda: not any(map(_alive, family)), what="the end of all parts", work=lambda: processor_seconds(family)
        )  # fmt: skip
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
    left = [-1]

    def none_left() -> bool:
        left[:] = _left(tmp_path)
        return not left

    wait_until(none_left, what="the end of every process", work=lambda: tuple(left), still=60)


def heed_interrupts() -> None:
    """A shell starts background jobs with SIGINT ignored, and tests may run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _command(process: psutil.Process) -> str:
    """Its arguments; empty if it has ended meanwhile."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _left(tmp_path: Path) -> list[int]:
    """Processes whose command line or environment names this test's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and str(tmp_path) in " ".join(
                [*process.cmdline(), *process.environ().values()]
            ):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
