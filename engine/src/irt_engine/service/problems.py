"""Every refusal and failure as an RFC 9457 problem, and the one mapper from exceptions to them."""

from __future__ import annotations

import errno
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irt_engine import CalibrationError, InputError

MAX_ERRORS = 20
_MAX_TEXT = 200
_MAX_DETAIL = 2000
_MAX_INTEGER = 2**63
_RETRY_SECONDS = "5"
_EXHAUSTED = {
    errno.ENOSPC: "space",
    errno.EDQUOT: "space",
    errno.EFBIG: "space",
    errno.ENOMEM: "memory",
    errno.EAGAIN: "processes",
    errno.EMFILE: "open files",
    errno.ENFILE: "open files",
}


@dataclass(eq=False)
class Problem(Exception):
    """A problem details object that can be raised.

    `kind` is the stable name that a program compares; it becomes the `type` URI.
    """

    kind: str
    title: str
    status: int
    detail: str
    errors: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.title}: {self.detail}"

    def to_contract(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"urn:irt:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": _shortened(self.detail, _MAX_DETAIL),
        }
        if self.errors:
            body["errors"] = [_printable_error(error) for error in list(self.errors)[:MAX_ERRORS]]
        return body


def problem_from_contract(body: Mapping[str, Any]) -> Problem:
    """The problem from a worker's or a stored job's JSON."""
    kind = str(body["type"]).rpartition(":")[2]
    headers = {"Retry-After": _RETRY_SECONDS} if body["status"] == 503 else {}
    return Problem(kind, body["title"], body["status"], body["detail"], body.get("errors", ()), headers)


def problem_from(error: BaseException) -> Problem:
    """The problem that a client gets for an exception; an unforeseen one does not reveal its cause."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, InputError):
        return invalid(str(error), _input_errors(error))
    if isinstance(error, CalibrationError):
        return Problem("calibration-failed", "The calibration is not possible on these data", 422, str(error))
    if isinstance(error, MemoryError):
        return unavailable("The machine has not enough memory for this request.")
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        return unavailable(f"The machine of the service is short of {_EXHAUSTED[error.errno]}.")
    return internal()


def not_json(detail: str) -> Problem:
    return Problem("not-readable", "The body cannot be read", 400, detail)


def unauthorized() -> Problem:
    headers = {"WWW-Authenticate": 'Bearer realm="irt"'}
    return Problem("unauthorized", "Unauthorized", 401, "A valid bearer token is required.", headers=headers)


def not_found(detail: str) -> Problem:
    return Problem("not-found", "Not found", 404, detail)


def not_finished(detail: str, error: Mapping[str, Any] | None = None) -> Problem:
    return Problem("no-result", "There is no result", 409, detail, (error or {}).get("errors", ()))


def timed_out(detail: str) -> Problem:
    return Problem("request-timeout", "The body did not arrive in time", 408, detail, headers={"Connection": "close"})


def too_large(detail: str) -> Problem:
    return Problem("too-large", "The request is too large", 413, detail)


def body_too_large(max_bytes: int) -> Problem:
    return too_large(f"The body may have at most {max_bytes:,} bytes, compressed or not.")


def unpacks_to_too_much(max_bytes: int) -> Problem:
    return too_large(f"The observations may have at most {max_bytes:,} bytes, also when the Parquet file is unpacked.")


def needs_too_much_memory(max_bytes: int) -> Problem:
    return too_large(f"The request needs more than the {max_bytes // 2**20:,} MiB of memory that a worker may take.")


def unsupported_media_type(detail: str, accepted: Mapping[str, str]) -> Problem:
    return Problem("unsupported-media-type", "Unsupported media type", 415, detail, headers=accepted)


def invalid(detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> Problem:
    return Problem("invalid-request", "The request is not valid", 422, detail, errors)


def invalid_field(name: str, message: str, **value: Any) -> Problem:
    """One field is wrong; `value=` quotes what was sent."""
    return invalid(f"{name}: {message}", [{"field": name, **value, "message": message}])


def key_reused() -> Problem:
    field_name, message = "Idempotency-Key", "was used before with another body"
    return Problem(
        "idempotency-mismatch",
        "The idempotency key belongs to another request",
        422,
        f"{field_name}: {message}",
        [{"field": field_name, "message": message}],
    )


def too_many_jobs(limit: int) -> Problem:
    detail = f"{limit} jobs are running or waiting, as many as this service accepts; try again later."
    return Problem("too-many-jobs", "Too many jobs", 429, detail, headers={"Retry-After": _RETRY_SECONDS})


def too_many_of_client(limit: int) -> Problem:
    detail = f"{limit} submissions of this client are being received, as many as one may send at once; try again later."
    return Problem("too-many-jobs", "Too many jobs", 429, detail, headers={"Retry-After": _RETRY_SECONDS})


def unavailable(detail: str) -> Problem:
    return Problem("unavailable", "The service is unavailable", 503, detail, headers={"Retry-After": _RETRY_SECONDS})


def internal() -> Problem:
    return Problem("internal", "Internal error", 500, "The service failed; its log has the cause.")


def result_lost() -> Problem:
    return Problem("internal", "Internal error", 500, "The result of this job was lost; submit the request again.")


def responses_lost() -> Problem:
    detail = "The responses of this job are gone, as those of one that ended while the disk was full; submit it again."
    return Problem("internal", "Internal error", 500, detail)


def http_problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    return Problem(title.lower().replace(" ", "-"), title, status, detail, headers=headers or {})


def _input_errors(error: InputError) -> Sequence[Mapping[str, Any]]:
    if error.errors:
        return error.errors
    return [{"field": error.field, "value": error.value, "message": error.message}]


def _printable_error(error: Mapping[str, Any]) -> dict[str, Any]:
    printed = {"field": _shortened(str(error.get("field") or "")), "message": _shortened(str(error["message"]))}
    if "value" in error:
        printed["value"] = _printable(error["value"])
    return printed


def _printable(value: Any) -> Any:
    """A value as short, finite JSON: what a client sent may be anything."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < _MAX_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return _shortened(value if isinstance(value, str) else reprlib.repr(value))


def _shortened(text: str, length: int = _MAX_TEXT) -> str:
    # A Python string can hold a lone surrogate, but UTF-8 cannot.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= length else text[: length - 1] + "…"
