"""The calibrate task against an HTTP server on loopback: all the ways in which a service answers, or does not."""

from __future__ import annotations

import asyncio
import email.policy
import gzip
import hashlib
import io
import json
import re
import tempfile
from dataclasses import replace
from datetime import timedelta
from email.parser import BytesParser
from threading import Event
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import TaskDeferred

from irt.errors import BadDataError, CalibrationFailedError, RequestRefusedError, TransientError
from irt.operators.calibrate import CalibrateOperator
from irt.request import settings_of, staged_settings
from irt.staged_result import read_receipt
from irt.staging import ABILITIES, ANCHORS, FIT, INPUTS, ITEMS, REQUEST, RESPONSES, START, read_json
from irt.triggers.calibration import CalibrationJobTrigger
from irt.upload import Form
from local.waiting import STILL
from tests.plugins.conftest import ANCHORED, HEALTH, ROWS, TOKEN
from tests.scripted import Answer

JOB = "/irt/jobs/j1"
RESULT = f"{JOB}/result"


def a_result(run_key: str = "run-1/math") -> dict:
    return {
        "item_params": [
            {"item_id": "1", "model": "2PL", "params": {"a": 1.0, "b": 0.5}, "se": {"a": 0.1, "b": 0.2}},
            {"item_id": "2", "model": "2PL", "params": {"a": 0.7, "b": -1}, "se": {"a": 0.1, "b": 0.2}},
        ],
        "abilities": [{"user_id": "u1", "theta": 0.3, "se": 0.8}, {"user_id": "수", "theta": -0.3, "se": 0.9}],
        "fit_meta": {
            "run_id": run_key,
            "model_spec": {"model": "2PL", "n_items": 2, "n_users": 2, "linking_constants": {
                "slope": 1.19, "intercept": 0.41, "method": "stocking_lord", "n_anchors_used": 2}},
            "metrics": {"loglik": -3.2, "converged": True, "n_iterations": 9},
        },
    }  # fmt: skip


def operator(run, **settings) -> CalibrateOperator:
    """By default, one that leaves all waiting to the trigger."""
    return CalibrateOperator(task_id="calibrate", run=run.to_dict(), **{"in_place": 0, **settings})


def events(job: str = "irt/jobs/j1", **settings) -> dict:
    """The event that the trigger ends with."""
    trigger = CalibrationJobTrigger("r_irt", job, **({"poll_interval": 0.05} | settings))

    async def first():
        async for event in trigger.run():
            return event.payload

    return asyncio.run(asyncio.wait_for(first(), STILL))


def submit(run, **settings) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        operator(run, **settings).execute({})
    return deferred.value


def resume(run, event: dict) -> dict:
    return operator(run).resume({}, event, job="irt/jobs/j1", contract="1.0")


def accepted() -> Answer:
    return Answer(202, {"job_id": "j1", "status": "queued"}, {"Location": JOB, "Retry-After": "1"})


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


# The request.


def test_the_request(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    (request,) = service.asked("POST", "/irt/calibrate")
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Prefer"] == "respond-async"
    assert re.fullmatch(r"run-1/math:[0-9a-f]{32}", request.headers["Idempotency-Key"])
    rest = request.body.partition(b'{"model"')[2]
    settings = json.loads(b'{"model"' + rest.split(b"\r\n--")[0])
    # An anchor without answers is not sent, because it could not link anything.
    assert settings["anchors"] == ANCHORED
    assert settings["linking"] == {
        "method": "stocking_lord", "min_anchors": 2, "drift_alpha": 0.05,
        "max_drifted": 0.4, "min_correlation": 0.5, "max_rmsd": 0.1, "unlinked": "exclude",
    }  # fmt: skip
    assert settings["options"] == {"run_id": "run-1/math", "min_item_responses": 1}
    parquet = request.body[request.body.index(b"PAR1") : request.body.rindex(b"PAR1") + 4]
    assert pq.read_table(io.BytesIO(parquet)).to_pylist() == ROWS


@pytest.mark.parametrize(("model", "item_models"), [("2PL", {"1": "3PL"}), ("3PL", None)])
def test_anchors_with_guessing_are_calibrated_with_guessing(run, model, item_models):
    """Otherwise two kinds of curves would be matched, which the service refuses."""
    known = [
        {"item_id": "1", "params": {"a": 1.0, "b": 0.0, "c": 0.2}, "fixed": True},
        {"item_id": "2", "params": {"a": 1.0, "b": 0.0, "c": 0.0}, "fixed": True},
        {"item_id": "3", "params": {"a": 1.0, "b": 0.0, "c": 0.3}, "fixed": False},
    ]
    settings = settings_of(replace(run, model=model), known, {"1", "2", "3"})
    assert settings.get("item_models") == item_models


def test_columns_where_parquet_is_not_read(service, run):
    service.script["GET", "/healthz"] = Answer(200, HEALTH | {"media_types": ["application/json"]})
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    (request,) = service.asked("POST", "/irt/calibrate")
    assert request.headers["Content-Encoding"] == "gzip"
    body = json.loads(gzip.decompress(request.body))
    assert body["observations"] == {name: [row[name] for row in ROWS] for name in ROWS[0]}


def test_a_repeated_submission_has_the_same_key_and_a_changed_one_another(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    submit(run)
    with run.staged(RESPONSES).open("wb") as file:
        pq.write_table(pa.Table.from_pylist(ROWS[:2]), file)
    submit(run)
    keys = [r.headers["Idempotency-Key"] for r in service.asked("POST", "/irt/calibrate")]
    assert keys[0] == keys[1] != keys[2]


def test_the_key_is_that_of_earlier_versions(service, run):
    """A retry after an upgrade finds the job that its first try submitted."""
    service.script["POST", "/irt/calibrate"] = accepted()
    submit(run)
    (request,) = service.asked("POST", "/irt/calibrate")
    settings = staged_settings(run)
    del settings["verdicts"]
    known = json.dumps(settings, sort_keys=True).encode() + run.staged(RESPONSES).read_bytes()
    assert request.headers["Idempotency-Key"] == f"run-1/math:{hashlib.sha256(known).hexdigest()[:32]}"


def test_the_staged_bytes_are_sent_as_they_lie(service, run, monkeypatch):
    """As a form, from one reading for key and receipt and one for the body; nothing is copied to a file."""
    opened, path = [], type(run.staged(RESPONSES))
    original = path.open

    def noted(self, *args, **kwargs):
        opened.append(self.name)
        return original(self, *args, **kwargs)

    service.script["POST", "/irt/calibrate"] = accepted()
    monkeypatch.setattr(path, "open", noted)
    staged_settings(run)
    for_settings = opened.count(RESPONSES)
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryFile", None)
        submit(run)
    assert opened.count(RESPONSES) == 2 * for_settings + 1
    (request,) = service.asked("POST", "/irt/calibrate")
    assert request.headers["Content-Length"] == str(len(request.body)) and "Transfer-Encoding" not in request.headers
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    form = BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    assert form.get_content_type() == "multipart/form-data" and not form.defects
    parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    assert {name: part.get_content_type() for name, part in parts.items()} == {
        "request": "application/json", "observations": "application/vnd.apache.parquet",
    }  # fmt: skip
    assert parts["observations"].get_payload(decode=True) == run.staged(RESPONSES).read_bytes()
    assert parts["request"].get_payload(decode=True) == run.staged(REQUEST).read_bytes()


def test_answers_that_are_extracted_while_others_are_sent(run):
    """What was identified is what is sent, and what the receipt names."""
    before = run.staged(RESPONSES).read_bytes()

    with run.staged(RESPONSES).open("rb") as responses:
        form = Form({}, responses)
        with run.write_staged(RESPONSES) as file:
            pq.write_table(pa.Table.from_pylist(ROWS[:2]), file)
        # Twice, as to a second address.
        assert before in b"".join(form) and len(b"".join(form)) == len(form)


# Jobs.


def test_a_job_is_waited_for_outside_the_worker(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["GET", JOB] = [
        Answer(200, {"status": "queued", "progress": None}),
        Answer(200, {"status": "running", "progress": {"iteration": 4, "loglik": -4.0}}),
        Answer(200, {"status": "succeeded"}),
    ]
    service.script["GET", RESULT] = Answer(200, a_result())
    deferred = submit(run)
    assert deferred.trigger.endpoint == "irt/jobs/j1"
    assert deferred.timeout == timedelta(hours=2)
    assert TOKEN not in json.dumps(deferred.trigger.serialize())
    event = events()
    assert event == {"status": "succeeded", "message": "null"}
    assert resume(run, event)["loglik"] == -3.2
    assert len(service.asked("POST", "/irt/calibrate")) == 1
    assert all(r.headers["Authorization"] == f"Bearer {TOKEN}" for r in service.asked("GET", JOB))


def test_the_digests_of_what_was_sent_go_with_the_job(service, run):
    """Extraction may run again while the job does; the result still belongs to the first answers."""
    run.staged(START).write_text("[]")
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["GET", RESULT] = Answer(200, a_result())
    deferred = submit(run)
    asked = read_json(run.staged(REQUEST))
    # This service knows neither verdicts nor the check of normal abilities.
    assert "verdicts" not in asked and "latent_check" not in asked["options"]
    assert json.dumps(asked).encode() in service.asked("POST", "/irt/calibrate")[0].body
    digests = {name: hashlib.sha256(run.staged(name).read_bytes()).hexdigest() for name in INPUTS}
    assert deferred.kwargs["sent"] == {"inputs": digests, "contract": "1.0"}
    run.staged(ANCHORS).write_text("[]")
    operator(run).resume({}, {"status": "succeeded"}, **deferred.kwargs)
    assert read_json(run.staged(FIT))["sent"] == deferred.kwargs["sent"]
    receipt = read_receipt(run)
    assert receipt["anchors_sha256"] == digests[ANCHORS] and receipt["contract"] == "1.0"
    # The scripted result does not state its engine.
    assert (receipt["engine"], receipt["engine_packages"]) == (None, None)


def test_a_task_deferred_by_a_version_without_receipts(service, run):
    service.script["GET", RESULT] = Answer(200, a_result())
    assert resume(run, {"status": "succeeded"})["loglik"] == -3.2
    assert read_receipt(run)["request_sha256"] is None


def test_a_job_that_ends_soon_is_waited_for_in_place(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["GET", JOB] = [Answer(200, {"status": each}) for each in ("queued", "running", "succeeded")]
    service.script["GET", RESULT] = Answer(200, a_result())
    assert operator(run, in_place=600).execute({})["loglik"] == -3.2
    assert len(service.asked("GET", JOB)) == 3
    assert run.staged(FIT).exists()


def test_a_job_that_fails_soon(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["GET", JOB] = Answer(200, {"status": "failed", "error": {"detail": "no item left"}})
    with pytest.raises(CalibrationFailedError, match="no item left"):
        operator(run, in_place=600).execute({})


@pytest.mark.parametrize(
    ("answer", "in_place"),
    [(Answer(200, {"status": "running"}), 0.2), (Answer(503, {"title": "starting"}), 600), (Answer(401, {}), 600)],
)
def test_what_lasts_or_is_not_plain_is_left_to_the_trigger(service, run, answer, in_place):
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["GET", JOB] = answer
    assert submit(run, in_place=in_place).trigger.endpoint == "irt/jobs/j1"
    assert service.asked("GET", JOB)


def test_the_service_may_be_away_for_a_while(service, run):
    service.script["GET", JOB] = [
        Answer(503, {"title": "starting"}),
        Answer(500, b"oops"),
        Answer(429, b"", {"Retry-After": "1"}),
        Answer(200, {"status": "succeeded"}),
    ]
    assert events()["status"] == "succeeded"
    assert len(service.asked("GET", JOB)) == 4


@pytest.mark.parametrize(("longest", "pauses"), [(2.0, [0.2, 0.4, 0.8, 1.2, 1.6, 2.0, 2.0]), (0.2, [0.2] * 7)])
def test_the_pauses_between_polls_grow_up_to_the_longest(service, run, monkeypatch, longest, pauses):
    service.script["GET", JOB] = [Answer(200, {"status": "running"})] * 7 + [Answer(200, {"status": "succeeded"})]
    slept, sleep = [], asyncio.sleep

    async def noted(seconds, *args):
        slept.append(seconds)
        await sleep(0, *args)

    # Four seconds between two polls, after the settling time.
    monkeypatch.setattr("irt.triggers.calibration.time", SimpleNamespace(monotonic=lambda: 4.0 * (len(slept) - 1)))

    service.script["POST", "/irt/calibrate"] = accepted()
    _, fields = submit(run, poll_interval=longest).trigger.serialize()
    monkeypatch.setattr("irt.triggers.calibration.asyncio.sleep", noted)
    assert events(**{name: fields[name] for name in ("poll_interval", "patience")})["status"] == "succeeded"
    # The first is the settling time, which these tests set to 0.
    assert slept == pytest.approx([0.0, *pauses])


def test_patience_has_an_end(service, run):
    service.script["GET", JOB] = Answer(503, {"title": "down"})
    event = events(patience=0.2)
    assert event["status"] == "unreachable"
    with pytest.raises(TransientError, match="unreachable"):
        resume(run, event)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(404, {"title": "no such job"}), TransientError, "lost"),
        (Answer(401, {"title": "unauthorized"}), RequestRefusedError, "401"),
        (Answer(200, b"<html>"), RequestRefusedError, "not a job"),
        (
            Answer(200, {"status": "failed", "error": {"detail": "no item left"}}),
            CalibrationFailedError,
            "no item left",
        ),
        (
            Answer(200, {"status": "failed", "error": {"type": "urn:irt:problem:worker-died", "detail": "SIGKILL"}}),
            TransientError,
            "SIGKILL",
        ),
        (
            Answer(200, {"status": "failed", "error": {"type": "urn:irt:problem:job-timeout", "detail": "too slow"}}),
            CalibrationFailedError,
            "too slow",
        ),
        (Answer(200, {"status": "cancelled"}), TransientError, "cancelled"),
    ],
)
def test_how_a_job_can_end(service, run, answer, error, message):
    service.script["GET", JOB] = answer
    with pytest.raises(error, match=message):
        resume(run, events())


def test_a_killed_task_cancels_its_job(service, run):
    service.script["POST", "/irt/calibrate"] = accepted()
    service.script["DELETE", JOB] = Answer(200, {"status": "cancelled"})
    # In the triggerer, where it waits.
    asyncio.run(CalibrationJobTrigger("r_irt", "irt/jobs/j1").on_kill())
    # In the worker, before it is deferred.
    task = operator(run)
    with pytest.raises(TaskDeferred):
        task.execute({})
    task.on_kill()
    deletions = service.asked("DELETE", JOB)
    assert [r.headers["Authorization"] for r in deletions] == [f"Bearer {TOKEN}"] * 2


def test_the_token_goes_to_no_other_host(service, run):
    for location in ("http://127.0.0.1:1/irt/jobs/j1", "//evil.example/irt/jobs/j1"):
        service.script["POST", "/irt/calibrate"] = Answer(202, {}, {"Location": location})
        with pytest.raises(RequestRefusedError, match="is not below the address"):
            operator(run).execute({})


def test_a_redirect_is_not_followed(service, run):
    service.script["POST", "/irt/calibrate"] = Answer(307, b"", {"Location": "http://127.0.0.1:1/"})
    with pytest.raises(RequestRefusedError, match="answered 307"):
        operator(run).execute({})


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
