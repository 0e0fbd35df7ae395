"""Alerts to a real web server and a real mail server on loopback.

The context is a double, because a real one needs a whole Airflow; `tests/e2e/test_operators.py` has that.
"""

from __future__ import annotations

import asyncio
import json
import re
from email import message_from_bytes, policy
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.log import redact

from irt.alerts import RECOVERED, RecoveryNotifier, RunNotifier, deadline_missed
from irt.errors import BadDataError, ChecksFailedError
from local.stack import free_port
from tests.runs import a_run
from tests.scripted import Answer, scripted_server

REASON = "run run-1/math is rejected, 1 checks failed: convergence: converged {{ nonsense }} <b>"


class TaskInstance(SimpleNamespace):
    def xcom_pull(self, task_ids, map_indexes, key):
        return self.xcom.get((task_ids, map_indexes, key))

    def xcom_push(self, key, value):
        self.xcom[self.task_id, self.map_index, key] = value


@pytest.fixture
def webhook(monkeypatch):
    with scripted_server() as (server, port):
        server.script[("POST", "/hooks/irt")] = Answer(200, {"ok": True})
        connection = {
            "conn_type": "http", "host": f"http://127.0.0.1:{port}/hooks/irt", "extra": {"X-Token": "planted-secret"},
        }  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_IRT_ALERTS", json.dumps(connection))
        yield server


@pytest.fixture
def context(tmp_path):
    run = a_run(tmp_path)
    instance = TaskInstance(task_id="bank.check", run_id="run-1", map_index=1, log_url="http://airflow/log", xcom={})
    return {"ti": instance, "task": SimpleNamespace(run=run.to_dict()), "exception": ChecksFailedError(REASON)}


def posted(server):
    return [json.loads(request.body) for request in server.asked("POST", "/hooks/irt")]


def test_a_rejection_by_webhook(webhook, context):
    RunNotifier()(context)
    [message] = posted(webhook)
    assert message == {
        "kind": "rejected", "bank": "math", "run_id": "run-1", "task": "bank.check", "reason": REASON,
        "log": "http://airflow/log", "report": "",
        "text": f"[IRT] rejected / 반려 (math) run-1\ntask: bank.check\nreason: {REASON}\nlog: http://airflow/log",
    }  # fmt: skip
    assert webhook.requests[0].headers["X-Token"] == "planted-secret"


def test_an_alert_leads_to_the_report_of_a_run_that_has_one(webhook, context, monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/prod/")
    RunNotifier()(context)
    RunNotifier()(context | {"exception": BadDataError("the service refused it")})
    rejected, failed = posted(webhook)
    assert rejected["report"] == "https://airflow.example.com/prod/irt/report?run=run-1%2Fmath"
    assert rejected["text"].endswith(f"report: {rejected['report']}")
    assert failed["report"] == "" and "report" not in failed["text"]


def test_a_failure_of_a_task_that_belongs_to_no_bank(webhook, context):
    RunNotifier()(context | {"exception": BadDataError("x" * 5000), "task": SimpleNamespace()})
    [message] = posted(webhook)
    assert (message["kind"], message["bank"], len(message["reason"])) == ("failed", "", 1500)


def test_the_bank_of_a_task_that_never_ran(webhook, context, monkeypatch):
    """Its `run` was never rendered, so the bank of the mapped task comes from the run's form."""
    monkeypatch.setattr("irt.alerts.mark_alerted", lambda context: None)
    del context["exception"]
    RunNotifier()(context | {"task": SimpleNamespace(run=object()), "params": {"banks": ["lsat7", "math"]}})
    [message] = posted(webhook)
    assert (message["kind"], message["bank"]) == ("failed", "math")
    assert message["reason"].startswith("it ended without raising an error")


def test_the_path_of_a_webhook_is_not_logged(context, monkeypatch, caplog):
    connection = {"conn_type": "http", "host": "http://127.0.0.1:9/services/planted-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_IRT_ALERTS", json.dumps(connection))
    RunNotifier()(context)
    assert "alert not sent" in caplog.text
    assert "planted-secret" not in "".join(r.getMessage() for r in caplog.records if r.name == "irt.alerts")
    # The task's log, including what the provider's hook logs, goes through redact().
    assert "planted-secret" not in redact("Max retries exceeded with url: /services/planted-secret")


@pytest.mark.parametrize("way", ["worker", "triggerer"])
def test_a_redirect_of_the_webhook_is_not_followed(webhook, context, caplog, way):
    webhook.script[("POST", "/hooks/irt")] = Answer(302, {}, {"Location": "/elsewhere"})
    webhook.script[("GET", "/elsewhere")] = webhook.script[("POST", "/elsewhere")] = Answer(200, {})
    if way == "worker":
        RunNotifier()(context)
        assert "the webhook answered 302, a redirect, which is not followed" in caplog.text
    else:
        run = {"dag_id": "d", "dag_run_id": "r", "state": "running", "run_type": "scheduled"}
        with pytest.raises(AirflowException, match="302, a redirect"):
            asyncio.run(deadline_missed(context={"dag_run": run, "deadline": {"deadline_time": "t"}}))
    assert [request.path for request in webhook.requests] == ["/hooks/irt"]


def test_a_recovery_is_told_and_a_usual_night_is_not(webhook, context):
    RecoveryNotifier()(context)
    assert posted(webhook) == []
    context["ti"].xcom["bank.check", 1, RECOVERED] = "run-0/math"
    RecoveryNotifier()(context)
    [message] = posted(webhook)
    assert (message["kind"], message["reason"]) == ("recovered", "the previous run, run-0/math, was not published")


def test_a_late_run(webhook):
    run = {
        "dag_id": "irt_calibration_nightly",
        "dag_run_id": "scheduled__2026-05-01",
        "state": "running",
        "run_type": "scheduled",
    }
    deadline = {"deadline_time": "2026-05-01T06:00:00+00:00"}
    asyncio.run(deadline_missed(context={"dag_run": run, "deadline": deadline}))
    # A backfilled night is never late.
    asyncio.run(deadline_missed(context={"dag_run": run | {"run_type": "backfill"}, "deadline": deadline}))
    [message] = posted(webhook)
    assert message["kind"] == "late"
    assert message["text"].startswith("[IRT] late / 지연 scheduled__2026-05-01\ntask: irt_calibration_nightly\n")
    assert message["reason"] == "not finished by 2026-05-01T06:00:00+00:00; it is running"


def test_without_the_connection_nobody_is_told(context, caplog, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_IRT_ALERTS", raising=False)
    with caplog.at_level("INFO", "irt.alerts"):
        RunNotifier()(context)
        asyncio.run(deadline_missed(context={}))
    assert caplog.text.count("no connection irt_alerts") == 2


@pytest.mark.parametrize("status", [200, 403])
def test_the_reason_is_the_last_line_whatever_becomes_of_the_alert(webhook, context, caplog, status):
    webhook.script[("POST", "/hooks/irt")] = Answer(status, {"no": "entry"})
    with caplog.at_level("INFO"):
        RunNotifier()(context)
    assert caplog.messages[-1] == f"bank.check rejected: {REASON}"
    assert ("alert sent" in caplog.text) == (status == 200)
    assert bool(re.search("alert not sent: .*403", caplog.text)) == (status == 403)


class Mailbox:
    def __init__(self):
        self.received = []

    async def handle_DATA(self, server, session, envelope):
        self.received.append(
            (envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default))
        )
        return "250 OK"


def test_a_rejection_by_mail(context, monkeypatch):
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port(0))
    server.start()
    try:
        extra = {"from_email": "irt@example.org", "to": ["kim@example.org", "lee@example.org"], "disable_ssl": True}
        extra["disable_tls"] = True
        port = server.port
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_IRT_ALERTS", json.dumps(connection))
        RunNotifier()(context)
    finally:
        server.stop()
    [(sender, receivers, message)] = mailbox.received
    assert (sender, receivers) == ("irt@example.org", ["kim@example.org", "lee@example.org"])
    assert message["Subject"] == "[IRT] rejected / 반려 (math) run-1"
    body = message.get_body(("html",)).get_content()
    # The reason is text, neither HTML nor a template.
    assert "converged {{ nonsense }} &lt;b&gt;" in body
