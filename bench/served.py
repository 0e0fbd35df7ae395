"""Runs one of the two calibration services as users start it; it can be killed and restarted."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from local import r_service
from local.home import default_home
from local.stack import engine_service

_START_SECONDS, _JOB_SECONDS, _END_SECONDS = 60.0, 900.0, 20.0
_UNDER_WAY = ("queued", "running")


class Served:
    """A service on a free port of loopback, with a state folder that outlives its process (a context manager).

    :param engine: the R service's engine, `openmx` or `mirt`; None for the Python service.
    :param keep_seconds: how long results are kept.
    :ivar client: an HTTP client for it that sends the token.
    """

    client: httpx.Client
    process: psutil.Process

    def __init__(
        self, engine: str | None, folder: Path, *, keep_seconds: int = 3600, env: Mapping[str, str] | None = None
    ) -> None:
        self.is_python = engine is None
        self.folder, self.state, self.log = folder, folder / "state", folder / "service.log"
        self._token = secrets.token_urlsafe(16)
        self._env = dict(env or {})
        self._options = ["--keep-results-seconds", str(keep_seconds)] if engine is None else []
        if engine is not None:
            self._env |= {"IRT_ENGINE": engine, "IRT_KEEP_RESULTS_SECONDS": str(keep_seconds)}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """:raise SystemExit: it does not start."""
        self._process = self._popen(self.log)
        self.process = psutil.Process(self._process.pid)
        base_url = f"http://127.0.0.1:{self._port()}"
        headers = {"Authorization": f"Bearer {self._token}"}
        self.client = httpx.Client(base_url=base_url, headers=headers, timeout=120, trust_env=False)
        return self

    def refusal(self) -> str:
        """Start a second service on the same state folder; returns its error message, empty if it starts."""
        log = self.folder / "second.log"
        second = self._popen(log)
        try:
            second.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            second.terminate()
            second.wait(_END_SECONDS)
            return ""
        return log.read_text(errors="replace").strip().splitlines()[-1]

    def kill(self) -> None:
        """Kill the service without warning; its children are not signalled."""
        self.client.close()
        children = self.process.children(recursive=True)
        self.process.kill()
        self._process.wait()
        psutil.wait_procs(children, timeout=_END_SECONDS)

    def stop(self) -> None:
        self.client.close()
        children = self.process.children(recursive=True) if self.process.is_running() else []
        self._process.terminate()
        self._process.wait(_END_SECONDS)
        _, left = psutil.wait_procs(children, timeout=10)
        for child in left:
            child.kill()

    def submit(self, request: dict[str, Any], **headers: str) -> str:
        """Submit a job; returns its address."""
        answer = self.client.post("/irt/calibrate", json=request, headers={"Prefer": "respond-async"} | headers)
        answer.raise_for_status()
        return answer.headers["location"]

    def ended(self, url: str) -> dict[str, Any]:
        """Wait for a job to end and return it.

        :raise SystemExit: it takes too long.
        """
        deadline = time.monotonic() + _JOB_SECONDS
        while (job := self.client.get(url).raise_for_status().json())["status"] in _UNDER_WAY:
            if time.monotonic() > deadline:
                raise SystemExit(f"irt bench: the job has not ended after {_JOB_SECONDS:.0f} s")
            time.sleep(0.02)
        return job

    def result(self, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
        """Run a calibration; returns its result and the seconds of its phases.

        :raise SystemExit: it does not succeed.
        """
        job = self.ended(self.submit(request))
        if job["status"] != "succeeded":
            raise SystemExit(f"irt bench: the job {job['status']}: {job['error']}")
        return self.client.get(job["result"]).json(), job["timings"]

    def _popen(self, log: Path) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        start = engine_service if self.is_python else r_service.command
        command = start(
            default_home(), host="127.0.0.1", port=0, state=self.state, port_file=port_file, token=self._token
        )
        with log.open("ab") as file:
            arguments, env = [*command.arguments, *self._options], os.environ | command.env | self._env
            return subprocess.Popen(arguments, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def _port(self) -> int:
        port_file, deadline = self.folder / "port", time.monotonic() + _START_SECONDS
        while not port_file.exists() or not (text := port_file.read_text().strip()):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"irt bench: the service did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return int(text)
