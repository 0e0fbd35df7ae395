"""The service under test: any base URL. Its bearer token comes from the environment, never from an argument."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract.conformance import bodies, deployed
from contract.conformance.document import Contract

TOKEN_VARIABLE = "IRT_SERVICE_TOKEN"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--base-url", help="the service to test, such as http://127.0.0.1:8000")


@pytest.fixture(scope="session")
def base_url(pytestconfig: pytest.Config) -> str:
    url = pytestconfig.getoption("--base-url")
    if not url:
        pytest.exit("name the service: ./irt conformance URL, with its token in IRT_SERVICE_TOKEN", returncode=2)
    return url.rstrip("/")


@pytest.fixture(scope="session")
def token() -> str:
    return os.environ.get(TOKEN_VARIABLE, "")


@pytest.fixture(scope="session")
def client(base_url: str, token: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=bodies.STILL, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def health(client: httpx.Client) -> dict[str, Any]:
    """The service's answer to `/healthz`."""
    return client.get("/healthz").json()


@pytest.fixture(scope="session")
def parquet(health: dict[str, Any]) -> None:
    """For tests that need Parquet, which is optional for a service."""
    if not any("parquet" in kind for kind in health["media_types"]):
        pytest.skip(f"{health['service']} does not read Parquet, and says so in /healthz")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()


@pytest.fixture(scope="session")
def lsat7() -> bodies.Columns:
    return bodies.lsat7()


@pytest.fixture(scope="session")
def long_request() -> dict[str, Any]:
    return bodies.long_request()


@pytest.fixture(scope="session")
def plain(client, contract) -> dict:
    """The response to the deployed client's simplest body."""
    return deployed.calibrated(client, contract, deployed.calibrations()["plain"])
