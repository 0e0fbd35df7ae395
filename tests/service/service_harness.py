"""A real service in a separate process, on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Hashable
from pathlib import Path

import httpx
import psutil

from local.waiting import log_size, processor_seconds, wait_until

TOKEN = "token-of-the-tests"
# Time-out for an answer, in seconds. Some answers wait for a worker to calibrate, and on a busy machine workers, which
# have low priority, hardly get any processor time.
_LONGEST = 3600.0


class ServiceProcess:
    """`irt-engine serve` on a free port, with a state folder that outlives it."""

    # Seconds of processor time that a worker may still use once its service has ended.
    most_after_end = 2.0

    def __init__(
        self, folder: Path, *options: str, token: str | None = TOKEN, port: int = 0, open_files: int | None = None
    ) -> None:
        self.folder = folder
        self.options = options
        self.token = token
        self.port = port
        self.open_files = open_files
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client()

    @property
    def command(self) -> list[str]:
        # The same as the installed command, which may not be installed.
        serve = [sys.executable, "-c", "import sys; from irt_engine.cli import main; sys.exit(main())", "serve"]
        serve += ["--port", str(self.port), "--port-file", str(self._port_file)]
        serve += ["--state-dir", str(self.folder / "state"), *self.options]
        if self.open_files is None:
            return serve
        return ["sh", "-c", f'ulimit -n {self.open_files} && exec "$@"', "sh", *serve]

    def environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name != "IRT_ENGINE_TOKEN"}
        # A long calibration should be long on any machine.
        env["NUMBA_NUM_THREADS"] = "1"
        return env if self.token is None else env | {"IRT_ENGINE_TOKEN": self.token}

    def start(self) -> ServiceProcess:
        self._port_file.unlink(missing_ok=True)
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment()
            )
        wait_until(self._port_file.exists, what="the service", work=self._work, check=self.check, pause=0.02)
        self.client.close()
        base_url = f"http://127.0.0.1:{self._port_file.read_text().strip()}"
        self.client = httpx.Client(
            base_url=base_url, headers={"Authorization": f"Bearer {self.token}"}, timeout=_LONGEST, trust_env=False
        )
        return self

    def check(self) -> None:
        """Require that it is alive; if not, show its last lines."""
        assert self.running, f"the service has ended:\n{self.log()[-3000:]}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def refusal(self, **environment: str) -> tuple[int, str]:
        """The exit status and output of a start that it should refuse."""
        self._port_file.unlink(missing_ok=True)
        with (self.folder / "refusal").open("w+") as log:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment() | environment
            )

            def not_started() -> None:
                assert not self._port_file.exists(), "the service has started"

            try:
                wait_until(
                    lambda: process.poll() is not None, what="the refusal", check=not_started, pause=0.02,
                    work=lambda: processor_seconds([psutil.Process(process.pid)]),
                )  # fmt: skip
            finally:
                process.kill()
                process.wait()
            log.seek(0)
            return process.returncode, log.read()

    def log(self) -> str:
        return self._log_file.read_text()

    def fork_server(self) -> psutil.Process:
        """The process from which workers are forked."""
        assert self.process
        [found] = psutil.Process(self.process.pid).children()
        return found

    def workers(self) -> list[psutil.Process]:
        return self.fork_server().children(recursive=True)

    def descendants(self) -> list[psutil.Process]:
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def busy_worker(self) -> psutil.Process:
        """The computing worker: the first to use half a second more of processor time."""
        before: dict[int, float] = {}

        def computing() -> psutil.Process | None:
            return next((w for w in self.workers() if _used(w) - before.setdefault(w.pid, _used(w)) > 0.5), None)

        return wait_until(
            computing, what="a worker that computes", check=self.check, pause=0.02,
            work=lambda: processor_seconds(self.workers()),
        )  # fmt: skip

    def end_jobs(self) -> None:
        """Cancel all running and waiting jobs."""
        if self.running:
            for job in self.client.get("/irt/jobs").json()["jobs"]:
                if job["finished_at"] is None:
                    self.client.delete(f"/irt/jobs/{job['job_id']}")

    def kill(self) -> list[psutil.Process]:
        """`kill -9`; returns its former processes."""
        assert self.process
        workers = self.descendants()
        self.process.kill()
        self.process.wait()
        return workers

    def stop(self) -> None:
        """SIGTERM; no process may remain."""
        self.client.close()
        if not self.running:
            return
        workers = self.descendants()
        self.process.terminate()
        self.wait_for_end()
        assert_gone(workers, self.most_after_end)

    def wait_for_end(self) -> None:
        """Wait for the end of a stopping service while it writes to its log; a computing worker is not progress."""
        try:
            wait_until(
                lambda: not self.running, what="the end of the service", pause=0.02,
                work=lambda: log_size(self._log_file),
            )  # fmt: skip
        finally:
            self.process.kill()

    def _work(self) -> Hashable:
        assert self.process
        return log_size(self._log_file), processor_seconds([psutil.Process(self.process.pid)])

    @property
    def _port_file(self) -> Path:
        return self.folder / "port"

    @property
    def _log_file(self) -> Path:
        return self.folder / "log"


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if _is_alive(process)]


def assert_gone(processes: list[psutil.Process], most: float = ServiceProcess.most_after_end) -> None:
    """They end before any of them has used this many more seconds of processor time."""
    used = {process: _used(process) for process in processes}

    def idle() -> None:
        for process in processes:
            assert _used(process) - used[process] < most, f"{process} goes on working"

    try:
        wait_until(
            lambda: not alive(processes), what=lambda: f"the end of {alive(processes)}", check=idle, pause=0.02,
            work=lambda: len(alive(processes)),
        )  # fmt: skip
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _used(process: psutil.Process) -> float:
    """Seconds of processor time used; 0 if the process has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return sum(process.cpu_times()[:2])
    return 0.0
