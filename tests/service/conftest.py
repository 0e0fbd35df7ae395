"""Services to test, and requests to send them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from service_harness import Contract, ServiceProcess, multipart


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Start services with options; all of them end with the test."""
    started: list[ServiceProcess] = []

    def start(*options: str, **settings: Any) -> ServiceProcess:
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        # No worker is started that the test has no work for.
        started.append(ServiceProcess(folder, "--spare-workers", "0", *options, **settings))
        return started[-1].start()

    yield start
    for service in started:
        service.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One service for all tests that leave it as it was."""
    process = ServiceProcess(
        tmp_path_factory.mktemp("service"), "--max-body-bytes", str(8 * 2**20), "--max-rows", "50000"
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def client(service: ServiceProcess) -> httpx.Client:
    return service.client


@pytest.fixture(scope="session")
def lsat7() -> dict[str, list[Any]]:
    """The answers of LSAT section 7 as columns (Bock & Lieberman 1970): 1,000 people, 5 items."""
    counts = np.array(_LSAT7_COUNTS)
    patterns = np.array([[(code >> (4 - item)) & 1 for item in range(5)] for code in range(32)])
    answers = np.repeat(patterns, counts, axis=0)
    users = [f"u{index:04d}" for index in range(len(answers))]
    return {
        "user_id": [user for user in users for _ in range(5)],
        "item_id": [f"q{item}" for _ in users for item in range(1, 6)],
        "is_correct": [int(answer) for answer in answers.ravel()],
    }


@pytest.fixture(scope="session")
def long_request() -> dict[str, Any]:
    """A submission whose calibration takes long enough to be caught in the middle, as a multipart form."""
    rng = np.random.default_rng(7)
    users, items = 2000, 40
    theta, b = rng.normal(size=(users, 1)), rng.normal(size=items)
    correct = rng.random((users, items)) < 0.2 + 0.8 / (1 + np.exp(-1.2 * (theta - b)))
    table = pa.table(
        {
            "user_id": np.repeat([f"u{index}" for index in range(users)], items),
            "item_id": np.tile([f"q{index}" for index in range(items)], users),
            "is_correct": correct.ravel(),
        }
    )
    # No estimation comes to rest as still as that.
    options = {"tolerance": 1e-300, "max_iterations": 10_000_000}
    return multipart({"model": "3PL", "options": options}, table)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()


# How many people gave each pattern of answers, from 00000 to 11111, item 1 first.
_LSAT7_COUNTS = [
    *(12, 19, 1, 7, 3, 19, 3, 17, 10, 5, 3, 7, 7, 23, 8, 28),
    *(7, 39, 11, 34, 14, 51, 15, 90, 6, 25, 7, 35, 18, 136, 32, 308),
]
