"""The jobs on disk: one folder each, with its record, its input and its result.

A folder is filled under `incoming/` and becomes a job by one rename, so that a crash leaves a whole job or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from irt_engine.files import sync, write_whole
from irt_engine.service.job import (
    CANCELLED,
    FAILED,
    QUEUED,
    RECORD_FILE,
    RESPONSES_FILE,
    SUCCEEDED,
    Job,
    moment,
    now,
    timestamp,
)
from irt_engine.service.problems import responses_lost, result_lost

log = logging.getLogger(__name__)


class StateUnusable(RuntimeError):
    """The state folder cannot be used."""


class StateInUse(StateUnusable):
    """Another service uses the state folder."""


class JobStore:
    """All jobs of a service: in memory for reading, on disk to survive its end.

    Call its methods only from the event loop; disk access happens in threads.

    :raise StateUnusable: the folder cannot be used; `StateInUse`: another service uses it.
    """

    def __init__(self, state_dir: Path) -> None:
        self._incoming = state_dir / "incoming"
        self._kept = state_dir / "jobs"
        self._jobs: dict[str, Job] = {}
        self._keys: dict[str, Job] = {}
        self._commit = asyncio.Lock()
        _create(state_dir, self._incoming, self._kept)
        self._lock = _locked(state_dir / "lock")

    def load(self) -> list[Job]:
        """Read what an earlier service left; return its unfinished jobs, the oldest first."""
        for left in self._incoming.iterdir():
            shutil.rmtree(left, ignore_errors=True)
        found = [job for folder in self._kept.iterdir() if (job := _read(folder))]
        for job in sorted(found, key=lambda job: job.submitted_at):
            _take_up(job)
            self._index(job)
        return [job for job in self._jobs.values() if not job.is_terminal]

    def new_folder(self, job_id: str) -> Path:
        folder = self._incoming / job_id
        folder.mkdir(mode=0o700)
        return folder

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def newest_first(self) -> list[Job]:
        return list(reversed(self._jobs.values()))

    def by_key(self, key: str | None) -> Job | None:
        """The job that a submission under `key` repeats: the last one, unless it failed or was cancelled."""
        job = self._keys.get(key) if key else None
        return None if job is None or job.status in (FAILED, CANCELLED) else job

    async def add(self, job: Job) -> Job:
        """Keep the job, or return the one that already has its key: of two at once, one wins."""
        async with self._commit:
            if existing := self.by_key(job.idempotency_key):
                return existing
            folder = self._kept / job.id
            await asyncio.to_thread(_commit, job.folder, folder, job.to_record())
            job.folder = folder
            self._index(job)
            return job

    async def update(self, job: Job, **changes: Any) -> None:
        """Update a job, on disk first, so that no state that a client has seen is lost in a crash."""
        if job.kept:
            await asyncio.to_thread(_keep_record, replace(job, **changes))
        for name, value in changes.items():
            setattr(job, name, value)

    async def remove_expired(self, keep_seconds: float, clock: Callable[[], float]) -> int:
        """Remove the jobs that ended more than `keep_seconds` ago; return how many."""
        expired = [job for job in self._jobs.values() if _age(job, clock()) > keep_seconds]
        for job in expired:
            del self._jobs[job.id]
            if self._keys.get(job.idempotency_key or "") is job:
                del self._keys[job.idempotency_key or ""]
        for job in expired:
            await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)
        return len(expired)

    def close(self) -> None:
        os.close(self._lock)

    def _index(self, job: Job) -> None:
        self._jobs[job.id] = job
        if job.idempotency_key:
            self._keys[job.idempotency_key] = job


def discard_responses(folder: Path) -> None:
    """Remove the responses, which only an unfinished job needs; if that fails, they are removed with the job."""
    with contextlib.suppress(OSError):
        (folder / RESPONSES_FILE).unlink(missing_ok=True)


def _keep_record(job: Job) -> None:
    """Write the job's record; if the job has ended, even to a full disk."""
    try:
        _write_record(job.folder, job.to_record())
        return
    except OSError:
        log.exception("job %s: its record cannot be written", job.id)
    if job.is_terminal:
        # This makes room; if that is not enough, a job without responses at least does not run again.
        discard_responses(job.folder)
        # Whoever waits for the job must be notified even if this fails.
        with contextlib.suppress(OSError):
            _write_record(job.folder, job.to_record())


def _take_up(job: Job) -> None:
    """Correct the state of a job that an earlier service left."""
    written = _written(job)
    if job.finished_at and moment(job.finished_at) > time.time():
        # The clock was ahead then: the job must not be kept until that time.
        job.finished_at = now()
    if not job.is_terminal:
        if written is None and not (job.folder / RESPONSES_FILE).exists():
            job.status, job.error, job.finished_at = FAILED, responses_lost().to_contract(), now()
            job.ended.set()
            return
        if written is None:
            job.status, job.progress = QUEUED, None
            return
        # A result is written elsewhere and renamed: if it exists, it is complete, and only the record is late.
        job.status, job.finished_at = SUCCEEDED, timestamp(written)
        job.ended.set()
    elif job.status == SUCCEEDED and written is None:
        # As a failed job, it does not keep a repeated submission from starting a new job.
        log.error("job %s: its result is gone", job.id)
        job.status, job.error = FAILED, result_lost().to_contract()
    discard_responses(job.folder)


def _written(job: Job) -> float | None:
    """When the result was written; None if it is missing, or empty as after a power failure."""
    return (_filled(job.abilities_path) and _filled(job.document_path)) or _filled(job.json_path)


def _filled(path: Path) -> float | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_mtime if found.st_size else None
    return None


def _create(state_dir: Path, incoming: Path, kept: Path) -> None:
    """:raise StateUnusable: naming what is in the way."""
    # `incoming` is emptied at each start, so it must not be a link to another folder.
    if incoming.is_symlink():
        raise StateUnusable(f"{incoming} is a symbolic link; remove it")
    for folder in (state_dir, incoming, kept):
        try:
            folder.mkdir(parents=folder is state_dir, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StateUnusable(f"{folder} cannot be used as a folder: {error.strerror}") from None


def _age(job: Job, at: float) -> float:
    if job.finished_at is None or not job.is_terminal:
        return 0.0
    return at - moment(job.finished_at)


def _locked(path: Path) -> int:
    """:raise StateInUse: another process holds the lock, which is released when that process ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise StateInUse(f"another service is using {path.parent}") from None
    return handle


def _read(folder: Path) -> Job | None:
    try:
        return Job.from_record(json.loads((folder / RECORD_FILE).read_bytes()), folder)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        log.warning("job folder %s is left alone, its record cannot be read: %s", folder, error)
        return None


def _commit(incoming: Path, folder: Path, record: dict[str, Any]) -> None:
    _write_record(incoming, record)
    for path in incoming.iterdir():
        sync(path)
    incoming.rename(folder)
    sync(folder.parent)


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    write_whole(folder / RECORD_FILE, json.dumps(record, allow_nan=False))
    sync(folder)
