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

sys.path.insert(0, str(Path(__file__).parent))

from service_harness import ServiceProcess


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Start services with options; all of them end with the test."""
    started: list[ServiceProcess] = []

    def start(*options: str, **settings: Any) -> ServiceProcess:
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        started.append(ServiceProcess(folder, *options, **settings))
        return started[-1].start()

    yield start
    for service in started:
        service.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One service for all tests that leave it as it was; its limits are within what the conformance tests reach."""
    process = ServiceProcess(
        tmp_path_factory.mktemp("service"), "--max-body-bytes", str(16 * 2**20), "--max-rows", "450000"
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
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
    """The same, but short enough to be waited for."""
    request = bodies.long_request()
    request["options"]["quadrature_points"] = 301
    return bodies.multipart(request, pa.table(request.pop("observations")))


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()
