"""The check behind the *Test* button of a connection to the calibration service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from irt.errors import RequestRefusedError, TransientError

# Needs the token, is cheap, and changes nothing.
_WITH_TOKEN = "irt/jobs"  # noqa: S105 (an endpoint)


def tested(call: Callable[[str], requests.Response], described: str) -> tuple[bool, str]:
    """Asks for the service's health, which needs no token, and then for its jobs, which do.

    :param call: one GET request.
    :param described: connection and address, for the message.
    :return: whether the service can be used with this connection, and the figures or the reason.
    """
    try:
        health = _health(call("healthz"))
    except (RequestRefusedError, ValueError) as error:
        return False, f"{described} is not a calibration service; check host, port and scheme: {error}"
    except TransientError as error:
        return False, f"{error}{_hint(error.__cause__)}"
    try:
        call(_WITH_TOKEN)
    except RequestRefusedError as error:
        if error.status in {401, 403}:
            return False, f"the token was refused: {error}"
        # A service from before the contract has no jobs.
        return True, f"{_figures(health)}; the token was not checked: {error}"
    except TransientError as error:
        return False, f"{error}{_hint(error.__cause__)}"
    return True, f"{_figures(health)}; the token was accepted"


def _health(response: requests.Response) -> dict[str, Any]:
    """:raise ValueError: the answer is not that of a calibration service."""
    health = response.json()
    if not isinstance(health, dict) or "status" not in health:
        raise ValueError("/healthz answered without a status")
    return health


def _figures(health: dict[str, Any]) -> str:
    engine, jobs = health.get("engine"), health.get("jobs")
    parts = []
    if isinstance(engine, dict):
        parts.append(f"{engine.get('name')} {engine.get('version')}")
    contract = health.get("contract")
    parts.append(f"contract {contract}" if contract else "a service from before the contract")
    if isinstance(jobs, dict):
        parts.append(f"jobs: {jobs.get('running')} running, {jobs.get('queued')} queued, limit {jobs.get('limit')}")
    return ", ".join(parts)


def _hint(cause: BaseException | None) -> str:
    if isinstance(cause, requests.exceptions.SSLError):
        return (
            "; if your own authority signed its certificate, set `verify` to the authority's file; if it does not use "
            "TLS, set the scheme to http"
        )
    if isinstance(cause, requests.exceptions.ProxyError):
        return "; check `proxies` in the extra"
    return ""
