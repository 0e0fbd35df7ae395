"""A double of S3 on loopback, because none can be installed here; it does what pyarrow needs for single objects
and to list a folder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        body = self.server.objects.get(self.key)
        self.answer(404 if body is None else 200, length=len(body or b""))

    def do_GET(self) -> None:
        if self.query.get("list-type") == ["2"]:
            return self.answer(200, self.listed().encode())
        body = self.server.objects.get(self.key)
        if body is None:
            return self.answer(404, f"{_XML}<Error><Code>NoSuchKey</Code></Error>".encode())
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        end = min(int(last or len(body) - 1), len(body) - 1)
        return self.answer(206, body[int(first) : end + 1], range_of=(int(first), end, len(body)))

    def do_PUT(self) -> None:
        """A part of an upload; whole objects are not supported."""
        self.server.parts.setdefault(self.key, {})[int(self.query["partNumber"][0])] = self.body()
        self.answer(200)

    def do_POST(self) -> None:
        self.body()
        if "uploads" in self.query:
            self.server.parts[self.key] = {}
            document = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        else:
            parts = self.server.parts.pop(self.key)
            self.server.objects[self.key] = b"".join(parts[number] for number in sorted(parts))
            document = '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>'
        self.answer(200, f"{_XML}{document}".encode())

    def listed(self) -> str:
        """The objects below a prefix, all in one answer."""
        bucket, prefix = self.key.rstrip("/"), self.query.get("prefix", [""])[0]
        keys = [key.removeprefix(f"{bucket}/") for key in sorted(self.server.objects)]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[f'{bucket}/{key}'])}</Size>"
            "<LastModified>2026-05-01T03:00:00Z</LastModified></Contents>"
            for key in keys
            if key.startswith(prefix)
        )
        return f"{_XML}<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path.lstrip("/"))

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(_chunks(self.rfile))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # S3's own chunks, each with a signature in its first line, are inside HTTP's.
        signed = "aws-chunked" in self.headers.get("Content-Encoding", "")
        return b"".join(_chunks(io.BytesIO(body))) if signed else body

    def answer(self, status: int, body: bytes = b"", *, length: int | None = None, range_of=None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Fri, 01 May 2026 03:00:00 GMT")
        if range_of:
            self.send_header("Content-Range", "bytes {}-{}/{}".format(*range_of))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """The chunks up to the empty one; also skips the trailers, which end with an empty line."""
    while size := int(stream.readline().partition(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass


@contextmanager
def bucket_server() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Its address, and its objects by bucket and key."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.objects, server.parts = {}, {}
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.objects
    finally:
        server.shutdown()
        server.server_close()
