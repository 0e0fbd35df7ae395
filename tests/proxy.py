"""An HTTP proxy on loopback that forwards and records requests."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@contextmanager
def running_proxy() -> Iterator[tuple[str, list[str]]]:
    """Its address, and its requests: `GET http://host:port/path`, or `CONNECT host:port` for a tunnel."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(f"CONNECT {self.path}")
            host, port = self.path.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as server:
                self.send_response(200)
                self.end_headers()
                _join(self.connection, server)
            self.close_connection = True

        def do_GET(self) -> None:
            asked.append(f"GET {self.path}")
            wanted = urlsplit(self.path)
            connection = HTTPConnection(wanted.netloc)
            connection.request("GET", wanted.path, headers=dict(self.headers))
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _join(client: socket.socket, server: socket.socket) -> None:
    """Forward the bytes of each of the two, until one of them hangs up."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                try:
                    data = key.fileobj.recv(65536)
                    key.data.sendall(data)
                except OSError:
                    return
                if not data:
                    return
