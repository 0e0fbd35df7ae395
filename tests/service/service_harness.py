"""A real service in a process of its own, on loopback, and requests to send it."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).resolve().parents[2]
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
        base_url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        self.client = httpx.Client(
            base_url=base_url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60, trust_env=False
        )
        return self

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def workers(self) -> list[psutil.Process]:
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def busy_worker(self) -> psutil.Process:
        """The worker that has used the most processor time."""
        return max(self.workers(), key=lambda worker: sum(worker.cpu_times()[:2]))

    def kill(self) -> list[psutil.Process]:
        """`kill -9`; returns the workers that there were."""
        assert self.process
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        return workers

    def stop(self) -> None:
        """SIGTERM; nothing may be left after it."""
        if self.process is None or self.process.poll() is not None:
            return
        workers = self.workers()
        self.process.terminate()
        try:
            self.process.wait(_END_SECONDS)
        finally:
            self.process.kill()
            self.client.close()
        assert_gone(workers)


def assert_gone(processes: list[psutil.Process], seconds: float = 5) -> None:
    _, left = psutil.wait_procs(processes, timeout=seconds)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert not left


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def multipart(request: dict[str, Any], table: pa.Table) -> dict[str, Any]:
    """Arguments of a POST with a Parquet part."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return {
        "files": {
            "request": (None, json.dumps(request).encode(), "application/json"),
            "observations": ("observations.parquet", buffer.getvalue(), "application/vnd.apache.parquet"),
        }
    }


def gzipped(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "content": gzip.compress(json.dumps(request).encode()),
        "headers": {"Content-Encoding": "gzip", "Content-Type": "application/json"},
    }


class Contract:
    """`contract/openapi.yaml`, to hold answers against."""

    def __init__(self) -> None:
        self.document = yaml.safe_load((ROOT / "contract" / "openapi.yaml").read_text(encoding="utf-8"))
        resource = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource("urn:contract", resource)

    def check(self, schema: str, value: Any) -> None:
        """:raise jsonschema.ValidationError: when the value is not as the named schema says."""
        reference = {"$ref": f"urn:contract#/components/schemas/{schema}"}
        jsonschema.Draft202012Validator(reference, registry=self._registry).validate(value)

    def problem(self, response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
        """The problem in a response, after a look at all that every problem must be."""
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        body = response.json()
        self.check("Problem", body)
        assert body["status"] == status
        assert body["type"] == f"urn:irt:problem:{kind}"
        assert "Traceback" not in response.text
        return body
