"""A job continues the trace of the request that submitted it, and a collector gets its span."""

from __future__ import annotations

import logging
import threading

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from contract.conformance.bodies import wait_for, wait_for_job
from irt_engine.service.job import Job
from irt_engine.service.tracing import Traces, traceparent_of
from tests.scripted import Answer, scripted_server

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ([SAMPLED], True),
        ([f"00-{TRACE}-{PARENT}-00"], True),
        # A later version may append fields, but not without a dash.
        ([f"01-{TRACE}-{PARENT}-01-more"], True),
        ([f"01-{TRACE}-{PARENT}-01more"], False),
        ([f"{SAMPLED}-more"], False),
        ([f"{SAMPLED}-"], False),
        ([f"ff-{TRACE}-{PARENT}-01"], False),
        ([f"00-{'0' * 32}-{PARENT}-01"], False),
        ([f"00-{TRACE}-{'0' * 16}-01"], False),
        ([f"00-{TRACE.upper()}-{PARENT}-01"], False),
        ([f"00-{TRACE}-{PARENT}"], False),
        ([f"00-{TRACE[1:]}-{PARENT}-01"], False),
        ([f"{SAMPLED}\n"], False),
        ([f"01-{TRACE}-{PARENT}-01-{'x' * 500}"], False),
        ([SAMPLED, SAMPLED], False),
        ([""], False),
        ([], False),
    ],
)
def test_a_header_that_the_standard_does_not_allow_is_none(values, known):
    assert traceparent_of(values) == (values[0] if known else None)


def ended(tmp_path, **fields):
    times = {"submitted_at": "2026-05-01T03:00:00.000Z", "started_at": "2026-05-01T03:00:02.500Z"}
    job = Job("a" * 32, "calibrate", tmp_path, "f", 5000, **times, finished_at="2026-05-01T03:00:07.000Z", **fields)
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Traces(provider).job_ended(job)
    return exporter.get_finished_spans()


def test_the_span_of_a_job(tmp_path):
    (span,) = ended(tmp_path, status="succeeded", timings={"fit": 4.0}, traceparent=SAMPLED)
    assert span.name == "irt.calibrate"
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert (span.end_time - span.start_time) / 1e9 == 7.0
    assert (span.events[0].timestamp - span.start_time) / 1e9 == 2.5
    assert dict(span.attributes) == {
        "irt.job_id": "a" * 32, "irt.status": "succeeded", "irt.observations": 5000, "irt.seconds.fit": 4.0,
    }  # fmt: skip
    assert span.status.status_code is StatusCode.UNSET


def test_a_failed_job_and_one_without_a_trace(tmp_path):
    (span,) = ended(tmp_path, status="failed", error={"title": "The job took too long"})
    assert span.parent is None
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "The job took too long")


def test_a_trace_that_is_not_sampled_makes_no_span(tmp_path):
    assert ended(tmp_path, status="succeeded", traceparent=f"00-{TRACE}-{PARENT}-00") == ()


def test_without_opentelemetry_the_service_says_so_and_runs(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with caplog.at_level(logging.WARNING):
        Traces.from_environment().job_ended(Job("a" * 32, "calibrate", None, "f", 1))
    assert "install irt-engine[otel]" in caplog.text


def test_the_collector_gets_the_span_and_the_log_the_id(start_service, lsat7, monkeypatch):
    """A collector that stops answering does not hold up the service's end."""
    with scripted_server() as (collector, port):
        collector.script["POST", "/v1/traces"] = [Answer(200, b""), Answer(200, b"", after=threading.Event())]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        service = start_service()
        headers = {"Prefer": "respond-async", "traceparent": SAMPLED}
        url = service.client.post("/irt/calibrate", json={"observations": lsat7}, headers=headers).headers["location"]
        done = wait_for_job(service.client, url, "succeeded")
        assert done["trace_id"] == TRACE
        (sent, *_) = wait_for(lambda: collector.asked("POST", "/v1/traces"), bool)
        message = ExportTraceServiceRequest.FromString(sent.body)
        [span] = message.resource_spans[0].scope_spans[0].spans
        assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, PARENT, "irt.calibrate")
        named = {pair.key: pair.value.string_value for pair in message.resource_spans[0].resource.attributes}
        assert named["service.name"] == "irt-engine"
        assert f", trace {TRACE}" in service.log()
        service.client.post("/irt/calibrate", json={"observations": lsat7})
        wait_for(lambda: collector.asked("POST", "/v1/traces"), lambda asked: len(asked) == 2)
        service.stop()
