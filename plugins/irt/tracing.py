"""A run's steps in traces.

Airflow makes one span per try of a task if `[traces] otel_on` is set, and the API of OpenTelemetry does nothing
otherwise. Here the span gets the run's key, and the calibration service the trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from irt.run import Run


def name_run(run: Run) -> None:
    """Put the run's key and its bank on the task's span."""
    trace.get_current_span().set_attributes({"irt.run_key": run.run_key, "irt.bank": run.bank})


def trace_headers() -> dict[str, str]:
    """`traceparent` and `tracestate` of the task's span (W3C Trace Context); empty without one."""
    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers
