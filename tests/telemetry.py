"""Receives metrics by StatsD and spans by OTLP, for as long as a whole Airflow runs."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from tests.scripted import Answer, scripted_server
from tests.statsd_server import StatsD


class Telemetry(ExitStack):
    """:ivar collector: the address for `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    def __enter__(self) -> Telemetry:
        super().__enter__()
        self.statsd = StatsD()
        self.callback(self.statsd.socket.close)
        self._lines: list[str] = []
        self._server, port = self.enter_context(scripted_server())
        self._server.script["POST", "/v1/traces"] = Answer(200, b"")
        self.collector = f"http://127.0.0.1:{port}"
        # Otherwise the socket's buffer would be full after a while.
        over = threading.Event()
        reader = threading.Thread(target=self._read, args=(over,), daemon=True)
        reader.start()
        self.callback(reader.join)
        self.callback(over.set)
        return self

    def _read(self, over: threading.Event) -> None:
        while not over.wait(0.2):
            self._lines += self.statsd.lines()

    def metrics(self) -> dict[str, str]:
        """The last value of each metric so far, with its kind (`5|g`), by name and tags."""
        return {name: value for name, _, value in (line.rpartition(":") for line in list(self._lines))}

    def spans(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Each span so far, with its attributes."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for request in self._server.asked("POST", "/v1/traces"):
            packed = request.headers.get("Content-Encoding") == "gzip"
            message = ExportTraceServiceRequest.FromString(gzip.decompress(request.body) if packed else request.body)
            for scope in (scope for resource in message.resource_spans for scope in resource.scope_spans):
                for span in scope.spans:
                    yield span, {pair.key: _value(pair.value) for pair in span.attributes}


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
