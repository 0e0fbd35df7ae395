"""What is worth a retry, and what is not."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from airflow.sdk import RetryAction

from irt.errors import BadDataError, CalibrationFailedError, ChecksFailedError, RequestRefusedError, TransientError
from irt.reason import reason_of
from irt.retry import RunRetryPolicy


def decide(exception: BaseException):
    return RunRetryPolicy().evaluate(exception, try_number=1, max_tries=3)


@pytest.mark.parametrize(
    "exception",
    [
        BadDataError("a: 'x' is of the wrong type"),
        RequestRefusedError("the calibration service answered 422: model"),
        CalibrationFailedError("job failed"),
        ChecksFailedError("2 checks failed"),
        psycopg.errors.UndefinedTable("no attempt"),
        psycopg.errors.InsufficientPrivilege("no"),
        psycopg.errors.NotNullViolation("theta"),
    ],
)
def test_fails_at_once_with_the_reason(exception):
    decision = decide(exception)
    assert decision.action is RetryAction.FAIL
    assert str(exception) in decision.reason


@pytest.mark.parametrize(
    "exception",
    [
        TransientError("connection refused"),
        psycopg.OperationalError("connection refused"),
        psycopg.errors.AdminShutdown("terminating"),
        psycopg.errors.DeadlockDetected("deadlock"),
        psycopg.errors.DiskFull("full"),
        TimeoutError("task timed out"),
        OSError("No space left on device"),
    ],
)
def test_takes_the_tasks_own_retries_and_says_why(exception):
    decision = decide(exception)
    assert decision.action is RetryAction.DEFAULT
    assert decision.reason.endswith(str(exception))


def test_a_reason_is_one_line_and_names_what_is_not_ours():
    assert reason_of(BadDataError("a\n  b")) == "a b"
    assert reason_of(KeyError("x")) == "KeyError: 'x'"
    assert reason_of(TimeoutError()) == "TimeoutError"
    assert reason_of("plain") == "plain"
    assert len(reason_of(ValueError("x" * 5000))) == 1500


def test_waits_as_long_as_the_service_asks_but_not_for_ever():
    assert decide(TransientError("busy", 90)).retry_delay == timedelta(seconds=90)
    assert decide(TransientError("busy", 90)).reason == "the service asked to wait 90 s: busy"
    assert decide(TransientError("busy", 1e6)).retry_delay == timedelta(minutes=30)
