"""Which failures are worth a retry, and what all tasks share: retries, a time-out and alerts."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryAction, RetryDecision, RetryPolicy

from irt.alerts import RunNotifier
from irt.errors import PermanentError, TransientError
from irt.reason import reason_of

# The first pause before a retry, in seconds; each later one is twice as long.
_FIRST_PAUSE = float(os.environ.get("IRT_RETRY_DELAY", "30"))
_LONGEST_WAIT = timedelta(minutes=30)


class RunRetryPolicy(RetryPolicy):
    """Fails at once if the same input would fail again, and waits as long as an overloaded service asks.

    Everything else (connection refused, time-out, 5xx, the database restarting) uses the task's own retries. Each
    decision holds the reason, which is the last line of the log of a try that is repeated.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        if isinstance(exception, PermanentError) or _is_sql_mistake(exception):
            return RetryDecision.fail(f"not worth a retry: {reason_of(exception)}")
        if isinstance(exception, TransientError) and exception.retry_after is not None:
            delay = min(timedelta(seconds=exception.retry_after), _LONGEST_WAIT)
            waits = f"the service asked to wait {delay.total_seconds():.0f} s"
            return RetryDecision.retry(delay, f"{waits}: {reason_of(exception)}")
        return RetryDecision(RetryAction.DEFAULT, reason=reason_of(exception))

    def serialize(self) -> dict[str, Any]:
        return {"__type": type(self).__name__}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RunRetryPolicy:
        return cls()


def _is_sql_mistake(exception: BaseException) -> bool:
    """SQLSTATE classes 22 (data), 23 (integrity), 42 (syntax, missing table, no permission) would fail again."""
    state = getattr(exception, "sqlstate", None)
    return isinstance(state, str) and state[:2] in {"22", "23", "42"}


def task_defaults() -> dict[str, Any]:
    """`default_args` of every DAG."""
    return {
        "retries": 3,
        "retry_delay": timedelta(seconds=_FIRST_PAUSE),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": RunRetryPolicy(),
        "execution_timeout": timedelta(minutes=30),
        "on_failure_callback": RunNotifier(),
    }
