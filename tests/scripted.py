"""An HTTP server on loopback that answers from a script and records requests."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_STILL_SECONDS = 600.0


@dataclass
class Request:
    method: str
    path: str
    headers: Message
    body: bytes


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    # The answer waits for this event, or for longer than any client waits.
    after: threading.Event | None = None
    # Promise more bytes than are sent, like a connection that is cut off.
    cut: bool = False

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


class ScriptedServer:
    """`script[(method, path)]` is an answer, a list of answers given in turn (the last one stays), or a function."""

    def __init__(self) -> None:
        self.script: dict[tuple[str, str], Answer | list[Answer] | Callable[[Request], Answer]] = {}
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            found = self.script.get((request.method, request.path), Answer(404, {"title": "not found"}))
            if isinstance(found, list):
                return found.pop(0) if len(found) > 1 else found[0]
        return found(request) if callable(found) else found

    def asked(self, method: str, path: str) -> list[Request]:
        return [r for r in self.requests if (r.method, r.path) == (method, path)]


@contextmanager
def scripted_server(tls: ssl.SSLContext | None = None) -> Iterator[tuple[ScriptedServer, int]]:
    """A running server, HTTPS if `tls` is given, and its port."""
    server = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = server.answer(Request(self.command, self.path, self.headers, body))
            if answer.after:
                answer.after.wait(_STILL_SECONDS)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content) + 1000 * answer.cut))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *args: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that gave up waiting, as some tests do

    listener = Listener(("127.0.0.1", 0), Handler)
    if tls:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server, listener.server_address[1]
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
