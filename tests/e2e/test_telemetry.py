"""A night in metrics and traces, as a real Airflow sends them."""

from __future__ import annotations

import re

import pytest

from contract.conformance.bodies import wait_for
from tests.prometheus import used

STEPS = ["extract_responses", "extract_anchors", "calibrate", "load", "check", "publish", "report"]
# A night without one does not send them.
FAILURES = {"airflow_dagrun_duration_failed", "airflow_ti_failures"}

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def metrics(stack, first_run):
    """By name and tags; with those of the first run's end."""
    ended = "airflow.dagrun.duration.success,"
    wait_for(lambda: any(name.startswith(ended) for name in stack.telemetry.metrics()))
    return stack.telemetry.metrics()


def test_the_figures_of_both_banks(stack, metrics):
    banks = {"lsat7": (5, 1000), "math": (150, 500)}
    for bank, (items, users) in banks.items():
        assert metrics[f"airflow.irt.bank.items,bank={bank}"] == f"{items}|g"
        assert metrics[f"airflow.irt.bank.users,bank={bank}"] == f"{users}|g"
        assert metrics[f"airflow.irt.bank.rejected,bank={bank}"] == "0|g"
        seconds = [
            metrics[f"airflow.irt.bank.step_seconds,bank={bank},step={step}"] for step in ("calibrate", "publish")
        ]
        assert all(float(value.removesuffix("|g")) > 0 for value in seconds)


def test_airflow_sends_the_series_and_labels_that_alerts_ask_for(metrics):
    sent = {name.partition(",")[0].replace(".", "_").replace("-", "_") for name in metrics}
    asked = {re.sub("_(count|sum)$", "", name) for name in used() if name.startswith("airflow_")}
    assert asked - sent <= FAILURES
    tags = [name.split(",")[1:] for name in metrics if name.startswith("airflow.dagrun.duration.success,")]
    assert any("dag_id=irt_calibration_nightly" in each for each in tags)
    tags = [name.split(",")[1:] for name in metrics if name.startswith("airflow.ti.finish,")]
    assert ["dag_id=irt_calibration_nightly", "task_id=bank.publish", "state=success"] in tags


def test_one_trace_from_the_steps_to_the_service(stack, first_run):
    key = f"{first_run[0]}/math"

    def steps():
        """A task that was deferred has two spans."""
        return [
            (told["airflow.task_id"], span) for span, told in stack.telemetry.spans() if told.get("irt.run_key") == key
        ]

    def jobs():
        own = {span.span_id for _, span in steps()}
        return [
            span for span, _ in stack.telemetry.spans() if span.name == "irt.calibrate" and span.parent_span_id in own
        ]

    wait_for(lambda: {name for name, _ in steps()} == {f"bank.{step}" for step in STEPS})
    # Other tests may have cleared tasks of this run.
    for job in wait_for(jobs):
        [(name, parent)] = [(name, span) for name, span in steps() if span.span_id == job.parent_span_id]
        assert (name, parent.trace_id) == ("bank.calibrate", job.trace_id)
    first = {}
    for name, span in steps():
        first.setdefault(name, span.trace_id)
    assert len(set(first.values())) == 1
