"""One log line and one measurement per request."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from irt_engine.service.metrics import Metrics

log = logging.getLogger(__name__)
# For requests without a valid token; see sparing_log.py.
refusals = logging.getLogger("irt_engine.service.refusals")

_MOST_CHARACTERS = 200
# Probes and scrapers come every few seconds.
_QUIET_PATHS = frozenset({"/healthz", "/metrics"})


class RecordAccess:
    """The outermost middleware, so it sees refusals too. A request counts as answered once its headers are sent."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def record(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._record(scope, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, record)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Routes, not paths: invented paths must not create time series.
        route = getattr(scope.get("endpoint"), "__name__", "none")
        self._metrics.requests.add(1, route=route, status=str(status))
        self._metrics.latency.observe(seconds, route=route)
        level = logging.DEBUG if scope["path"] in _QUIET_PATHS else logging.INFO
        method, path = (quote(scope[name][:_MOST_CHARACTERS]) for name in ("method", "path"))
        (refusals if status == 401 else log).log(level, "%s %s %d %.3f s", method, path, status, seconds)
