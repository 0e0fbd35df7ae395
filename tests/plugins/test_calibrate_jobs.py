"""How the calibrate task waits for its job, on a scripted service on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import TaskDeferred

from irt.errors import CalibrationFailedError, RequestRefusedError, TransientError
from irt.staged_result import read_receipt
from irt.staging import ANCHORS, FIT, INPUTS, REQUEST, START, read_json
from irt.triggers.calibration import CalibrationJobTrigger
from tests.plugins.calibrating import JOB, RESULT, a_result, accepted, events, operator, resume, submit
from tests.plugins.conftest import TOKEN
from tests.scripted import Answer


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
