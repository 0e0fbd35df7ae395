"""A whole Airflow with the demo's data, and a web server for its alerts."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from local import demo
from local.home import Home
from local.stack import DAG_ID, running_stack
from tests.scripted import Answer, ScriptedServer, scripted_server
from tests.statsd_server import TAGGED
from tests.telemetry import Telemetry

# No log, XCom, table or command line may show these secrets.
PLANTED = {"database": "planted-database-secret", "webhook": "planted-webhook-secret"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory, airflow_turn):
    """PostgreSQL, the calibration service and Airflow, with the demo's data; one for all tests of this folder."""
    parts = airflow_turn.take()
    change = parts.enter_context(pytest.MonkeyPatch.context())
    alerts = _receive_alerts(parts, change)
    telemetry = _receive_telemetry(parts, change)
    running = parts.enter_context(running_stack(Home(tmp_path_factory.mktemp("irt")).make()))
    running.alerts, running.telemetry = alerts, telemetry
    # The embedded server needs no password, but one is sent, so that the tests of secrets can look for it.
    connection = running.postgres.airflow_connection() | {"password": PLANTED["database"]}
    change.setattr(running.postgres, "airflow_connection", lambda: connection)
    demo.load_data(running)
    running.start_airflow()
    running.api.pause(DAG_ID, False)
    return running


def _receive_alerts(parts: ExitStack, change: pytest.MonkeyPatch) -> ScriptedServer:
    server, port = parts.enter_context(scripted_server())
    server.script[("POST", "/alerts")] = Answer(200, {})
    connection = {"conn_type": "http", "host": f"http://127.0.0.1:{port}/alerts"}
    connection["extra"] = {"X-Token": PLANTED["webhook"]}
    change.setenv("AIRFLOW_CONN_IRT_ALERTS", json.dumps(connection))
    return server


def _receive_telemetry(parts: ExitStack, change: pytest.MonkeyPatch) -> Telemetry:
    """Metrics and traces of Airflow, and traces of the service."""
    telemetry = parts.enter_context(Telemetry())
    for name, value in (TAGGED | telemetry.statsd.address).items():
        change.setenv(f"AIRFLOW__METRICS__{name}", value)
    change.setenv("AIRFLOW__TRACES__OTEL_ON", "True")
    change.setenv("OTEL_TRACES_EXPORTER", "otlp_proto_http")
    change.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", telemetry.collector)
    return telemetry


@pytest.fixture(scope="session")
def alerts(stack) -> ScriptedServer:
    """The server behind the connection `irt_alerts`."""
    return stack.alerts


@pytest.fixture(scope="session")
def first_run(stack):
    """One run of both banks, triggered through the REST API as the UI's form does."""
    lines: list[str] = []
    run_id = stack.api.trigger(DAG_ID, "manual__first")
    state = demo.follow(stack, run_id, lines.append)
    assert state == "success", "\n".join(lines)
    return run_id, lines
