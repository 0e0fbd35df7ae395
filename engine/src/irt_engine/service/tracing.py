"""Traces: a job continues the trace of the request that submitted it (W3C Trace Context).

Spans need OpenTelemetry (irt-engine[otel]) and the address of a collector in `OTEL_EXPORTER_OTLP_ENDPOINT`; without
them, the job still keeps the trace's id, for the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from irt_engine.service.job import FAILED, Job, moment

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# Version, id of the trace, id of the parent span, flags. Later versions may append fields.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_LONGEST_TRACEPARENT = 512
# Time for the last spans when the service ends.
_FLUSH_SECONDS = 1.0


def traceparent_of(values: Sequence[str]) -> str | None:
    """The trace that a request belongs to; a header that the standard does not allow counts as none.

    :param values: of the headers `traceparent`.
    """
    if len(values) != 1 or len(values[0]) > _LONGEST_TRACEPARENT:
        return None
    match = _TRACEPARENT.fullmatch(values[0])
    if match is None or (match[1] and values[0].startswith("00")):
        return None
    return values[0]


class Traces:
    """Makes a span of each job that has ended."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider

    @classmethod
    def from_environment(cls) -> Traces:
        """Without a collector's address or OpenTelemetry, makes no spans."""
        if not any(os.environ.get(name) for name in _ENDPOINTS):
            return cls(None)
        try:
            return cls(_provider())
        except ModuleNotFoundError as missing:
            log.warning("%s is set, but there will be no spans: install irt-engine[otel] (%s)", _ENDPOINTS[0], missing)
            return cls(None)

    def job_ended(self, job: Job) -> None:
        """The span from the job's submission to its end, with an event for its start."""
        if self._provider is None or job.finished_at is None:
            return
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {"traceparent": job.traceparent} if job.traceparent else {}
        span = self._provider.get_tracer(__name__).start_span(
            f"irt.{job.kind}",
            context=TraceContextTextMapPropagator().extract(carrier, Context()),
            kind=SpanKind.SERVER,
            start_time=_nanoseconds(job.submitted_at),
            attributes={"irt.job_id": job.id, "irt.status": job.status, "irt.observations": job.n_observations},
        )
        span.set_attributes({f"irt.seconds.{phase}": seconds for phase, seconds in job.timings.items()})
        if job.started_at is not None:
            span.add_event("started", timestamp=_nanoseconds(job.started_at))
        if job.status == FAILED and job.error:
            span.set_status(Status(StatusCode.ERROR, str(job.error.get("title"))))
        span.end(_nanoseconds(job.finished_at))

    async def close(self) -> None:
        """Send the last spans; a collector that does not answer delays the end by at most a second."""
        if self._provider is not None:
            last = threading.Thread(target=self._provider.shutdown, daemon=True)
            last.start()
            await asyncio.to_thread(last.join, _FLUSH_SECONDS)


def _provider() -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or "irt-engine"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _nanoseconds(written: str) -> int:
    return int(moment(written) * 1e9)
