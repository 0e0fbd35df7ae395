"""Requests as bytes, for those that no client library would send."""

from __future__ import annotations

import contextlib
import socket

# Time-out for an answer, in seconds; generous, for busy machines.
_LONGEST = 600.0


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    """:param source: the client's own address; all of 127.0.0.0/8 are loopback."""
    return socket.create_connection(("127.0.0.1", port), timeout=_LONGEST, source_address=(source, 0))


def head(method: str, path: str, *fields: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: irt", *fields, "", ""]).encode()


def all_of(connection: socket.socket) -> bytes:
    """Everything received until the other side closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def exchange(port: int, request: bytes, source: str = "127.0.0.1") -> bytes:
    """What a service sends until it closes the connection."""
    with connect(port, source) as connection:
        connection.sendall(request)
        return all_of(connection)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
