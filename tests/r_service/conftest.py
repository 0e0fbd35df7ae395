"""The R service in a separate process. In CI it must be installed; elsewhere its tests report what is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from contract.conformance import bodies
from contract.conformance.document import Contract
from local import r_service
from local.home import Home, default_home

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from service_harness import ServiceProcess


class RServiceProcess(ServiceProcess):
    """`settings` are environment variables, such as IRT_MAX_ROWS; `state` is the state folder, else in `folder`."""

    # callr's supervisor gives a session five seconds to end by itself; it may be loading the engine.
    most_after_end = 10.0

    def __init__(self, folder: Path, home: Home, *, state: Path | None = None, **settings: str) -> None:
        super().__init__(folder)
        self._state = state
        self._home, self._settings = home, {"IRT_ENGINE": "openmx"} | settings

    def _command(self) -> r_service.Command:
        state, port_file = self._state or self.folder / "state", self.folder / "port"
        return r_service.command(
            self._home, host="127.0.0.1", port=self.port, state=state, port_file=port_file, token=self.token or ""
        )

    @property
    def command(self) -> list[str]:
        return list(self._command().arguments)

    def environment(self) -> dict[str, str]:
        return os.environ | self._command().env | self._settings

    def workers(self) -> list[psutil.Process]:
        return [process for process in self.descendants() if process.name() == "R"]


@pytest.fixture(scope="session")
def r_home() -> Home:
    """Where the R package is installed."""
    home = default_home()
    try:
        r_service.install(home, tests=True)
    except r_service.RMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    return home


@pytest.fixture
def start_r_service(tmp_path: Path, r_home: Home) -> Iterator[Callable[..., RServiceProcess]]:
    started: list[RServiceProcess] = []

    def start(state: Path | None = None, **settings: str) -> RServiceProcess:
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        started.append(RServiceProcess(folder, r_home, state=state, **settings))
        started[-1].start()
        return started[-1]

    yield start
    for service in started:
        print(f"log of {service.folder.name}:\n{service.log()[-3000:]}")
        service.stop()


@pytest.fixture(scope="session")
def running_r_service(tmp_path_factory: pytest.TempPathFactory, r_home: Home) -> Iterator[RServiceProcess]:
    process = RServiceProcess(
        tmp_path_factory.mktemp("r-service"), r_home, IRT_MAX_BODY_BYTES=str(16 * 2**20), IRT_MAX_ROWS="450000"
    )
    yield process
    process.stop()


@pytest.fixture
def service(running_r_service: RServiceProcess) -> Iterator[RServiceProcess]:
    """One service for all tests without special settings; its limits are low enough for the conformance tests to reach.
    No test leaves a job running.
    """
    if not running_r_service.running:
        # At first, or after a failed test that had killed it.
        running_r_service.start()
        running_r_service.end_jobs()
    yield running_r_service
    running_r_service.end_jobs()


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()


@pytest.fixture(scope="session")
def lsat7() -> bodies.Columns:
    return bodies.lsat7()


@pytest.fixture(scope="session")
def long_request() -> dict[str, Any]:
    return bodies.long_request()
