"""Why something failed, in one line: for the end of a log, a retry decision, an alert."""

from __future__ import annotations

from airflow.sdk.log import redact

from irt.errors import PermanentError, TransientError

_LONGEST = 1500


def reason_of(exception: BaseException | str) -> str:
    """One line, cut to fit a message, with the secrets known to Airflow masked: it may quote a server's answer.

    An exception that is not ours is prefixed with its type, since its text may be only a key or empty.
    """
    text = str(exception)
    if isinstance(exception, BaseException) and not isinstance(exception, PermanentError | TransientError):
        text = f"{type(exception).__name__}: {text}" if text else type(exception).__name__
    return str(redact(" ".join(text.split())))[:_LONGEST]
