"""The run in the spans that Airflow makes of its tasks, and the trace that the calibration service gets."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from irt.hooks.calibration import CalibrationHook
from irt.operators.calibrate import CalibrateOperator
from irt.operators.load import LoadOperator
from tests.scripted import Answer


@pytest.fixture
def spans():
    """Airflow's tracer and what it has made; the provider is not the process's, which could not be taken back."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("airflow"), exporter


@pytest.mark.parametrize("operator", [LoadOperator, CalibrateOperator])
def test_the_span_of_a_task_has_the_run_and_its_bank(run, spans, operator):
    tracer, exporter = spans
    with tracer.start_as_current_span("worker.bank.step"):
        operator(task_id="step", run=run.to_dict()).pre_execute({})
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes) == {"irt.run_key": "run-1/math", "irt.bank": "math"}


def test_the_service_gets_the_trace_of_the_task(service, spans):
    service.script["POST", "/irt/calibrate"] = Answer(200, {})
    with spans[0].start_as_current_span("worker.bank.calibrate") as span:
        CalibrationHook(method="POST", http_conn_id="r_irt").call("irt/calibrate", headers={"Prefer": "respond-async"})
    (sent,) = service.asked("POST", "/irt/calibrate")
    context = span.get_span_context()
    assert sent.headers["traceparent"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert sent.headers["Prefer"] == "respond-async"


def test_without_traces_nothing_is_sent(service, run):
    assert not trace.get_current_span().get_span_context().is_valid
    LoadOperator(task_id="load", run=run.to_dict()).pre_execute({})
    CalibrationHook(method="GET", http_conn_id="r_irt").call("healthz")
    (sent,) = service.asked("GET", "/healthz")
    assert "traceparent" not in sent.headers and "tracestate" not in sent.headers
