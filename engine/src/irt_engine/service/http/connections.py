"""Limits on connections: their number, and the time until each sends a request.

uvicorn limits neither the time that headers take nor the number of connections, and strangers need no token to connect.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from irt_engine.service.limits import Limits
from irt_engine.service.metrics import Metrics

log = logging.getLogger(__name__)

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Connections:
    """All open connections, and among them those without a whole request, the longest waiting first.

    If there are too many, the one that has waited longest for its request is closed to admit the new one: a health
    check sends its request at once, an attacker who holds connections open does not.
    """

    def __init__(self, most: int, limits: Limits, metrics: Metrics) -> None:
        self.header_seconds = limits.header_seconds
        self.unread_seconds = limits.body_idle_seconds
        self._most = most
        self._dropped = metrics.connections_dropped
        self._open: set[Connection] = set()
        self._without_request: dict[Connection, None] = {}
        metrics.gauge("irt_connections", "Open connections.", lambda: {(): len(self._open)})

    def add(self, connection: Connection) -> None:
        self._open.add(connection)
        self.waits_for_request(connection)
        if len(self._open) > self._most:
            self.drop(next(iter(self._without_request)), "too many connections")

    def waits_for_request(self, connection: Connection) -> None:
        self._without_request[connection] = None

    def has_request(self, connection: Connection) -> None:
        self._without_request.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._without_request.pop(connection, None)

    def drop(self, connection: Connection, reason: str) -> None:
        self.remove(connection)
        self._dropped.add(1, reason=reason)
        # Each reason is a separate kind of line: see sparing_log.py.
        log.warning(f"a connection was closed: {reason}")
        connection.transport.abort()

    def drop_all_without_request(self) -> int:
        """Free descriptors; returns how many."""
        dropped = list(self._without_request)
        for connection in dropped:
            self.drop(connection, "no descriptors left")
        return len(dropped)


class Connection(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's connection, with limits on the time until a whole request, and on the time an answer is not read."""

    def __init__(self, *, connections: Connections, **settings: Any) -> None:
        super().__init__(**settings)
        self._all = connections
        self._patience: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._all.add(self)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.remove(self)
        for timer in (self._patience, self._unread):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self._later(self._all.unread_seconds, "its answer is not read")

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread:
            self._unread.cancel()

    def _look(self) -> None:
        """Stop the header deadline once a whole request has arrived.

        Data after an answer, such as the rest of a refused body, does not count as a request.
        """
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._all.has_request(self)
            if self._patience:
                self._patience.cancel()
            self._patience = None
        elif self._patience is None:
            self._all.waits_for_request(self)
            self._patience = self._later(self._all.header_seconds, "no whole request in time")

    def _later(self, seconds: float, reason: str) -> asyncio.TimerHandle:
        timer: asyncio.TimerHandle = self.loop.call_later(seconds, self._all.drop, self, reason)
        return timer


class Listener(socket.socket):
    """A listening socket that survives when no descriptor is left for a new connection.

    After such an error, asyncio keeps accepting, as often as its backlog is long, logs each failure and schedules a
    retry for each (python/cpython#151615). Here, one round of failures is one error.
    """

    connections: Connections | None = None
    _failed = False

    def accept(self) -> tuple[socket.socket, Any]:
        """:raise BlockingIOError: also if descriptors ran out and some were freed; asyncio then tries again."""
        if self._failed:
            self._failed = False
            raise BlockingIOError
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _SHORT:
                raise
            if self.connections and self.connections.drop_all_without_request():
                raise BlockingIOError from None
            # asyncio pauses for a second; its next call, at once, ends the round.
            self._failed = True
            raise
