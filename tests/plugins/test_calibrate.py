"""The calibrate task against an HTTP server on loopback: all the ways in which a service answers, or does not."""

from __future__ import annotations

import json
from datetime import timedelta
from threading import Event

import pyarrow.parquet as pq
import pytest

from irt.errors import BadDataError, RequestRefusedError, TransientError
from irt.staging import ABILITIES, ANCHORS, FIT, ITEMS
from tests.plugins.calibrating import a_result, operator, resume
from tests.plugins.conftest import ANCHORED, ROWS, TOKEN
from tests.scripted import Answer

# A service that answers directly.


def test_a_result_at_once(service, run, capsys):
    service.script["POST", "/irt/calibrate"] = Answer(200, a_result())
    figures = operator(run).execute({})
    assert figures == {
        "items": 2, "abilities": 2, "loglik": -3.2, "converged": True,
        "slope": 1.19, "intercept": 0.41, "n_anchors_used": 2,
    }  # fmt: skip
    assert pq.read_table(run.staged(ITEMS).open("rb")).column("b").to_pylist() == [0.5, -1.0]
    assert pq.read_table(run.staged(ABILITIES).open("rb")).column("user_id").to_pylist() == ["u1", "수"]
    assert json.loads(run.staged(FIT).read_text())["metrics"]["loglik"] == -3.2
    log = capsys.readouterr().out
    assert "Calling R IRT service" in log
    assert "Linking constants received: slope=1.1900 intercept=0.4100 n_anchors_used=2" in log
    assert "Calibration completed successfully: 2 items, 2 abilities, log-likelihood -3.200," in log
    assert TOKEN not in log


def test_the_service_of_today_gets_plain_rows(service, run):
    """It says nothing about itself in /healthz, and knows neither jobs nor other formats."""
    service.script["GET", "/healthz"] = Answer(200, b"OK")
    service.script["POST", "/irt/calibrate"] = Answer(200, a_result("fit-2025-11-01"))
    assert operator(run).execute({})["items"] == 2
    (request,) = service.asked("POST", "/irt/calibrate")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Content-Encoding"] is None
    body = json.loads(request.body)
    assert body["observations"] == ROWS
    assert body["model"] == "2PL"


# Refusals and outages.


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422])
def test_a_refusal_is_not_retried(service, run, status):
    problem = {"title": "Unprocessable", "detail": "2 mistakes", "errors": [{"field": "model", "message": "is '9PL'"}]}
    service.script["POST", "/irt/calibrate"] = Answer(status, problem)
    with pytest.raises(RequestRefusedError, match=rf"answered {status}: Unprocessable; 2 mistakes; model: is '9PL'"):
        operator(run).execute({})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_an_outage_is_retried(service, run, status):
    service.script["POST", "/irt/calibrate"] = [Answer(status, b"oops", {"Retry-After": "7"}), Answer(200, a_result())]
    with pytest.raises(TransientError, match=f"answered {status}: oops") as caught:
        operator(run).execute({})
    assert caught.value.retry_after == 7
    assert operator(run).execute({})["items"] == 2


def test_nobody_listens(run, monkeypatch):
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": 9, "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps(connection))
    said = r"^the calibration service \(connection r_irt, http://127.0.0.1:9\) cannot be reached: .*refused"
    with pytest.raises(TransientError, match=said):
        operator(run).execute({})


def test_an_address_that_holds_a_password_is_shown_without(run, monkeypatch, caplog, capsys):
    for host in ("http://user:planted-secret@127.0.0.1:9", "http://user:planted-secret@:9"):
        monkeypatch.setenv("AIRFLOW_CONN_R_IRT", json.dumps({"conn_type": "http", "host": host}))
        with pytest.raises(TransientError, match=r"connection r_irt, http://\*\*\*@.*:9\) cannot be reached") as caught:
            operator(run).execute({})
        assert "planted-secret" not in f"{caught.value} {caplog.text} {capsys.readouterr().out}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "500 - Internal server error", "message": "payload is missing"}, "error; payload is missing"),
        ({"error": ["500"], "message": ["payload is missing"]}, "500; payload is missing"),
        (b"<html>\n <body>Bad\nGateway</body></html>", "<html> <body>Bad Gateway</body></html>"),
        ({"other": 1}, '{"other": 1}'),
    ],
)
def test_what_the_service_says_of_its_error_is_one_line(service, run, body, said):
    service.script["POST", "/irt/calibrate"] = Answer(500, body)
    with pytest.raises(TransientError) as caught:
        operator(run).execute({})
    assert str(caught.value).endswith(said)
    assert "(connection r_irt, http://127.0.0.1:" in str(caught.value)


def test_a_job_that_ended_badly_names_its_service(service, run):
    with pytest.raises(TransientError, match=r"unreachable: gone \(the calibration service \(connection r_irt, http"):
        resume(run, {"status": "unreachable", "message": "gone"})


def test_a_service_that_hangs(service, run):
    given_up = Event()
    service.script["POST", "/irt/calibrate"] = Answer(200, a_result(), after=given_up)
    with pytest.raises(TransientError, match="cannot be reached"):
        operator(run, calibration_timeout=timedelta(seconds=0.5)).execute({})
    given_up.set()


def test_a_connection_that_is_cut(service, run):
    service.script["POST", "/irt/calibrate"] = [Answer(200, a_result(), cut=True), Answer(200, a_result())]
    with pytest.raises(TransientError, match="ended its answer early"):
        operator(run).execute({})
    assert not run.staged(ITEMS).exists()
    assert operator(run).execute({})["items"] == 2


def test_too_few_anchors_are_said_before_anything_is_sent(service, run):
    with run.staged(ANCHORS).open("w") as file:
        json.dump(ANCHORED[:1], file)
    message = r"bank math: 1 anchors have answers in the window, linking\.min_anchors is 2"
    with pytest.raises(BadDataError, match=message):
        operator(run).execute({})
    assert service.asked("POST", "/irt/calibrate") == []
