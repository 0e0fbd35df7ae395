"""The calibration service through Airflow's HTTP connection, whose password is the bearer token."""

from __future__ import annotations

import json
import ssl
from typing import Any
from urllib.parse import urljoin

import aiohttp
import requests
from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook, SessionConfig

from irt.address import without_credentials
from irt.connection_type import CONNECTION_TYPE, HOOK_NAME
from irt.errors import RequestRefusedError, TransientError
from irt.hooks.connection_test import tested
from irt.tracing import trace_headers

_ANSWERED = frozenset({200, 202, 204})
_LONGEST_DETAIL = 2000
# In seconds. Someone is waiting at the button, so give up early on a host that does not answer.
_LONGEST_TEST = 10


class _BearerAuth(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class CalibrationHook(HttpHook):
    """Requests to the calibration service, with separate errors for refusals and outages."""

    conn_type = CONNECTION_TYPE
    hook_name = HOOK_NAME
    default_conn_name = "r_irt"

    def test_connection(self) -> tuple[bool, str]:
        """For the *Test* button in Airflow's UI, and `airflow connections test`."""
        self.method = "GET"
        passed, message = tested(lambda endpoint: self.call(endpoint, timeout=_LONGEST_TEST), self.described())
        # The UI tests under a random name.
        return passed, message.replace(f"connection {self.http_conn_id}, ", "")

    def _extract_auth(self, connection: Any) -> Any | None:
        return _BearerAuth(connection.password) if connection.password else None

    def _configure_session_from_extra(self, session: Any, connection: Any, extra_options: dict[str, Any]) -> Any:
        session = super()._configure_session_from_extra(session, connection, extra_options)
        # The form's field was left empty, which `requests` would take as: trust every certificate.
        if session.verify == "":
            session.verify = True
        return session

    def call(
        self, endpoint: str, *, body: Any = None, headers: dict[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """One request; redirects are not followed, so the token goes only to the connection's address.

        :param options: of the HTTP provider; with `stream`, the body of an answer is left to be read (and closed).

        :raise RequestRefusedError: the service answered 4xx, other than 408, 425 and 429.
        :raise TransientError: it could not be reached, timed out, or answered 5xx, 408, 425 or 429.
        """
        options = {"timeout": 60, **options, "check_response": False, "allow_redirects": False}
        try:
            response: requests.Response = self.run(
                endpoint, data=body, headers=(headers or {}) | trace_headers(), extra_options=options
            )
            if response.status_code in _ANSWERED:
                return response
            text = response.text
        except requests.RequestException as error:
            reason = _without_address(error).replace(self.base_url or "\0", without_credentials(self.base_url))
            raise TransientError(f"{self.described()} cannot be reached: {reason}") from error
        after = response.headers.get("Retry-After")
        raise refusal(response.status_code, text, after, service=self.described())

    def described(self) -> str:
        """The service's connection and address, for error messages; without credentials."""
        self.url_from_endpoint("")
        return f"the calibration service (connection {self.http_conn_id}, {without_credentials(self.base_url)})"

    def endpoint_of(self, location: str, answered_from: str) -> str:
        """The endpoint that a `Location` header names, relative to the connection's address.

        :raise RequestRefusedError: it leads to another host, where the token must not go.
        """
        self.url_from_endpoint("")
        base = self.base_url.rstrip("/") + "/"
        address = urljoin(answered_from, location)
        if not address.startswith(base):
            raise RequestRefusedError(f"Location: {location!r} is not below the address of the connection")
        return address.removeprefix(base)


class AsyncCalibrationHook(HttpAsyncHook):
    """The same for the triggerer: the token goes into the session's headers.

    Only the code that reads the connection is the provider's. Its requests raise for every answer but 2xx, in ways that
    differ between its versions; a poller needs the answer.
    """

    async def request(self, method: str, endpoint: str, seconds: float = 30) -> tuple[int, str]:
        """One request, redirects not followed.

        :return: status and text of the answer.
        :raise aiohttp.ClientError, asyncio.TimeoutError: no answer came.
        """
        config = await self.config()
        url = f"{config.base_url.rstrip('/')}/{endpoint.lstrip('/')}"
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with aiohttp.ClientSession(headers=config.headers, timeout=timeout) as session:
            options = _connection_options(config.extra_options or {}, url)
            async with session.request(method, url, allow_redirects=False, **options) as response:
                return response.status, await response.text()

    async def config(self) -> SessionConfig:
        if self._config is not None:
            return self._config
        from airflow.providers.common.compat.connection import get_async_connection

        # The provider caches what it returns, and so also what is changed here.
        plain = await super().config()
        connection = await get_async_connection(conn_id=self.http_conn_id, hook=self)
        token = {"Authorization": f"Bearer {connection.password}"} if connection.password else {}
        plain.headers = {**(plain.headers or {}), **token}
        plain.auth = None
        return plain


def _connection_options(extra: dict[str, Any], url: str) -> dict[str, Any]:
    """The connection's `verify` (a switch, or the file of a certificate authority; empty counts as not given) and
    `proxies`, for aiohttp."""
    options: dict[str, Any] = {}
    verify = extra.get("verify_ssl", True)
    if verify == "":
        verify = True
    if isinstance(verify, str):
        options["ssl"] = ssl.create_default_context(cafile=verify)
    elif not verify:
        options["ssl"] = False
    proxy = extra.get("proxy")
    if isinstance(proxy, dict):
        proxy = proxy.get(url.split(":")[0])
    return options | ({"proxy": proxy} if proxy else {})


def refusal(
    status: int, text: str, retry_after: str | None = None, *, service: str = "the calibration service"
) -> RequestRefusedError | TransientError:
    """The error for an answer other than 2xx, with the service's own reason."""
    message = f"{service} answered {status}: {_detail(text)}"
    if status in {408, 425, 429} or status >= 500:
        return TransientError(message, float(retry_after) if retry_after and retry_after.isdigit() else None)
    return RequestRefusedError(message, status)


def _detail(text: str) -> str:
    """The readable part of a problem document (RFC 9457) or of plumber's error, or the text itself; one line, since it
    may end a log."""
    try:
        problem = json.loads(text)
        parts = [_plain(problem.get(name)) for name in ("title", "detail", "error", "message")]
        parts += [f"{e.get('field')}: {e.get('message')}" for e in problem.get("errors") or []]
        readable = "; ".join(part for part in parts if part) or text
    except (ValueError, AttributeError, TypeError):
        readable = text
    return " ".join(readable.split())[:_LONGEST_DETAIL] or "(no body)"


def _plain(value: Any) -> str:
    """R writes a scalar as a one-element list."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return "" if value is None else str(value)


def _without_address(error: Exception) -> str:
    """The kind of failure; urllib3's own text repeats addresses and pool objects, which help nobody."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return str(getattr(reason, "args", [reason])[-1]) if reason else f"{type(error).__name__}: {error}"
