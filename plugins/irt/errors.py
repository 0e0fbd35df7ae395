"""The failures of a run, sorted by what a retry can do about them (see `retry.py`)."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowException


class PermanentError(AirflowException):
    """The same input would fail again: bad data, a refused request, a failed check."""


class BadDataError(PermanentError):
    """Data that cannot be used; the message names the field and the value."""


class RequestRefusedError(PermanentError):
    """The calibration service refused the request (4xx).

    `status` is the HTTP status, if the service answered with one.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class CalibrationFailedError(PermanentError):
    """The calibration job failed at the service, for a reason in the data or the settings."""


class ChecksFailedError(PermanentError):
    """The loaded run did not pass its checks; it is rejected."""


class SchemaError(PermanentError):
    """The database lacks migrations, is too old, or has tables of another form."""


class StaleError(PermanentError):
    """A bank's last good calibration is too old."""


class TransientError(AirflowException):
    """Worth another try: connection refused, time-out, 5xx, 429, a job lost by a restarted service.

    `retry_after` (seconds) is what the service asked for, if it did.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
