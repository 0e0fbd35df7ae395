"""A job: one calibration or scoring, from its submission to its end."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "queued", "running", "succeeded", "failed", "cancelled"
KINDS = ("calibrate", "score")
STATUSES = (QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED)
TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELLED})

# Files in a job's folder.
BODY_FILE = "body"
REQUEST_FILE = "request.json"
RESPONSES_FILE = "responses.parquet"
# The result: the document without its abilities, which is written last, and the abilities. The whole as JSON is written
# when a client first asks for it; an earlier version wrote only that.
DOCUMENT_FILE = "document.json"
ABILITIES_FILE = "abilities.parquet"
JSON_FILE = "result.json"
RECORD_FILE = "job.json"

# Fields that are not stored.
_VOLATILE = frozenset({"folder", "ended", "kept"})
_FIELD_TYPES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (str, ("id", "kind", "fingerprint", "status", "submitted_at")),
    (int, ("n_observations", "attempts")),
    (str | None, ("idempotency_key", "traceparent", "started_at", "finished_at")),
    (dict, ("timings",)),
    (dict | None, ("progress", "error")),
)


def now() -> str:
    return _written(datetime.now(timezone.utc))


def timestamp(seconds: float) -> str:
    """Seconds since 1970, in the format of records and of the contract."""
    return _written(datetime.fromtimestamp(seconds, timezone.utc))


def moment(written: str) -> float:
    """The seconds of a `timestamp`.

    :raise ValueError: it is not a timestamp.
    """
    return datetime.fromisoformat(written.replace("Z", "+00:00")).replace(tzinfo=timezone.utc).timestamp()


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    return uuid.uuid4().hex


@dataclass
class Job:
    """A job as it is stored; `kept` is false if only the waiting request will read it."""

    id: str
    kind: str
    folder: Path
    fingerprint: str
    n_observations: int
    idempotency_key: str | None = None
    # Of the submission, as the standard allows it (see `tracing`).
    traceparent: str | None = None
    status: str = QUEUED
    submitted_at: str = field(default_factory=now)
    started_at: str | None = None
    finished_at: str | None = None
    attempts: int = 0
    progress: dict[str, Any] | None = None
    timings: dict[str, float] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    kept: bool = True
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def trace_id(self) -> str | None:
        return self.traceparent.split("-")[1] if self.traceparent else None

    @property
    def location(self) -> str:
        return f"/irt/jobs/{self.id}"

    @property
    def document_path(self) -> Path:
        return self.folder / DOCUMENT_FILE

    @property
    def abilities_path(self) -> Path:
        return self.folder / ABILITIES_FILE

    @property
    def json_path(self) -> Path:
        return self.folder / JSON_FILE

    def to_contract(self) -> dict[str, Any]:
        return {
            "job_id": self.id,
            "status": self.status,
            "submitted_at": self.submitted_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "progress": self.progress,
            "timings": self.timings or None,
            "error": self.error,
            "trace_id": self.trace_id,
            "result": f"{self.location}/result" if self.status == SUCCEEDED else None,
        }

    def to_record(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _VOLATILE}

    @classmethod
    def from_record(cls, record: dict[str, Any], folder: Path) -> Job:
        """:raise TypeError, ValueError: the record is not that of this folder's job."""
        if not isinstance(record, dict) or _VOLATILE & set(record):
            raise TypeError("it is not a job's record")
        job = cls(folder=folder, **record)
        job._check(folder.name)
        if job.is_terminal:
            job.ended.set()
        return job

    def _check(self, name: str) -> None:
        """:raise TypeError, ValueError: a field of the record has a type or value that no service writes."""
        for kind, names in _FIELD_TYPES:
            for field_name in names:
                if not isinstance(getattr(self, field_name), kind):
                    raise TypeError(f"its {field_name} has the wrong type")
        if self.id != name:
            raise ValueError(f"its id is {self.id!r}")
        if self.kind not in KINDS or self.status not in STATUSES:
            raise ValueError(f"there is no {self.kind!r} that is {self.status!r}")
        for written in (self.submitted_at, self.started_at, self.finished_at):
            if written is not None:
                moment(written)
