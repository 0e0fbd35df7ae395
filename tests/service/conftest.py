"""Services to test, and requests to send them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from contract.conformance import bodies
from contract.conformance.document import Contract
from irt_engine import warm_up

sys.path.insert(0, str(Path(__file__).parent))

from service_harness import ServiceProcess


@pytest.fixture(scope="session", autouse=True)
def kernels() -> None:
    """Compile all kernels into numba's cache first, however long it takes: a service is silent while it compiles."""
    warm_up()


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts services with options; all of them end with the test."""
    started: list[ServiceProcess] = []

    def start(*options: str, **settings: Any) -> ServiceProcess:
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        started.append(ServiceProcess(folder, *options, **settings))
        return started[-1].start()

    yield start
    for service in started:
        print(f"log of {service.folder.name}:\n{service.log()[-3000:]}")
        service.stop()


@pytest.fixture(scope="session")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("service") / "shared"
    folder.mkdir()
    process = ServiceProcess(folder, "--max-body-bytes", str(16 * 2**20), "--max-rows", "450000")
    yield process
    process.stop()


@pytest.fixture
def service(running_service: ServiceProcess) -> Iterator[ServiceProcess]:
    """One service for all tests without special settings; its limits are low enough for the conformance tests to reach.
    No test leaves a job running.
    """
    if not running_service.running:
        # At first, or after a failed test that had killed it.
        running_service.start()
        running_service.end_jobs()
    yield running_service
    running_service.end_jobs()


@pytest.fixture
def client(service: ServiceProcess) -> httpx.Client:
    return service.client


@pytest.fixture(scope="session")
def lsat7() -> bodies.Columns:
    return bodies.lsat7()


@pytest.fixture(scope="session")
def long_request() -> dict[str, Any]:
    """A submission whose calibration takes long enough to be caught in the middle, as a multipart form."""
    request = bodies.long_request()
    return bodies.multipart(request, pa.table(request.pop("observations")))


@pytest.fixture(scope="session")
def medium_request() -> dict[str, Any]:
    """The same, but short enough to wait for."""
    request = bodies.long_request()
    request["options"]["quadrature_points"] = 301
    return bodies.multipart(request, pa.table(request.pop("observations")))


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()
