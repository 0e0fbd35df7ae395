"""A real service in a process of its own, on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

TOKEN = "token-of-the-tests"
_START_SECONDS = 60
_END_SECONDS = 20


class ServiceProcess:
    """`irt-engine serve` on a free port, with a state folder that outlives it."""

    def __init__(self, folder: Path, *options: str, token: str | None = TOKEN) -> None:
        self.folder = folder
        self.options = options
        self.token = token
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client()

    @property
    def command(self) -> list[str]:
        port_file, state = self.folder / "port", self.folder / "state"
        # What the installed command does, also where it is not installed.
        serve = [sys.executable, "-c", "import sys; from irt_engine.cli import main; sys.exit(main())", "serve"]
        return [*serve, "--port", "0", "--port-file", str(port_file), "--state-dir", str(state), *self.options]

    def environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name != "IRT_ENGINE_TOKEN"}
        # A long calibration should be long on any machine.
        env["NUMBA_NUM_THREADS"] = "1"
        return env if self.token is None else env | {"IRT_ENGINE_TOKEN": self.token}

    def start(self) -> ServiceProcess:
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment()
            )
        deadline = time.monotonic() + _START_SECONDS
        while not port_file.exists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        self.client.close()
        base_url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        self.client = httpx.Client(
            base_url=base_url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60, trust_env=False
        )
        return self

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def nursery(self) -> psutil.Process:
        """The process that workers are forked from."""
        assert self.process
        [found] = psutil.Process(self.process.pid).children()
        return found

    def workers(self) -> list[psutil.Process]:
        return self.nursery().children(recursive=True)

    def descendants(self) -> list[psutil.Process]:
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def busy_worker(self) -> psutil.Process:
        """The worker that has used the most processor time."""
        return max(self.workers(), key=lambda worker: sum(worker.cpu_times()[:2]))

    def kill(self) -> list[psutil.Process]:
        """`kill -9`; returns the processes that it had."""
        assert self.process
        workers = self.descendants()
        self.process.kill()
        self.process.wait()
        return workers

    def stop(self) -> None:
        """SIGTERM; nothing may be left after it."""
        self.client.close()
        if self.process is None or self.process.poll() is not None:
            return
        workers = self.descendants()
        self.process.terminate()
        try:
            self.process.wait(_END_SECONDS)
        finally:
            self.process.kill()
        assert_gone(workers)


def assert_gone(processes: list[psutil.Process], seconds: float = 5) -> None:
    _, left = psutil.wait_procs(processes, timeout=seconds)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert not left
