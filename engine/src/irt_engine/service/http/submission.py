"""A submission: from a POST to a job, and from a job to the answer."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from irt_engine.service.http.body import receive
from irt_engine.service.http.results import result_response
from irt_engine.service.job import CANCELLED, FAILED, SUCCEEDED, Job, new_id
from irt_engine.service.jobs.runner import Preparation
from irt_engine.service.jobs.service import Service
from irt_engine.service.problems import (
    invalid_field,
    key_reused,
    not_finished,
    problem_from_contract,
    unavailable,
)
from irt_engine.service.requests.media import Media
from irt_engine.service.tracing import traceparent_of

_MAX_KEY = 255
_POLL_SECONDS = "1"


async def submit(request: Request, kind: str) -> Response:
    """Answer 202 with the job if the client prefers that, otherwise 200 with the result.

    :raise Problem: the request is wrong, there is no room for it, or the job did not succeed.
    """
    media = Media.from_headers(request.headers)
    key = idempotency_key(request.headers)
    service: Service = request.app.state.service
    if service.store.by_key(key) is None:
        return await _submit(request, kind, media, key, service.runner.places.receiving(_client(request)))
    # Held while waiting for the result, too, since a key stays known for long.
    with service.runner.places.repeating(_client(request)):
        return await _submit(request, kind, media, key, nullcontext())


async def _submit(
    request: Request, kind: str, media: Media, key: str | None, place: AbstractContextManager[None]
) -> Response:
    if prefers_async(request.headers):
        return _accepted(await _accept(request, kind, media, key, place, kept=True))
    # A client that gave a key can come back for its job; without one, nobody could fetch the result after it has
    # disconnected.
    job = await _accept(request, kind, media, key, place, kept=key is not None)
    return await _result(request, job)


def idempotency_key(headers: Headers) -> str | None:
    """:raise Problem: 422 if it is not 1 to 255 visible ASCII characters."""
    keys = headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not 1 <= len(keys[0]) <= _MAX_KEY or not all("!" <= c <= "~" for c in keys[0]):
        raise invalid_field("Idempotency-Key", f"must be 1 to {_MAX_KEY} visible ASCII characters", value=keys[0])
    return keys[0]


def prefers_async(headers: Headers) -> bool:
    """Whether any `Prefer` header holds `respond-async` (RFC 7240); other preferences are ignored."""
    preferences = ",".join(headers.getlist("prefer")).split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


async def _accept(
    request: Request, kind: str, media: Media, key: str | None, place: AbstractContextManager[None], *, kept: bool
) -> Job:
    service: Service = request.app.state.service
    service.runner.check_open()
    with place:
        job_id = new_id()
        folder = service.store.new_folder(job_id)
        job = None
        try:
            await receive(request, folder, service.limits, service.runner.closing)
            async with service.runner.prepared(folder, kind, media, _client(request)) as preparation:
                job = await _enqueue(service, preparation, Job(
                    job_id,
                    kind,
                    folder,
                    f"{kind}:{preparation.found['fingerprint']}",
                    preparation.found["n_observations"],
                    idempotency_key=key,
                    traceparent=traceparent_of(request.headers.getlist("traceparent")),
                    timings=preparation.found["timings"],
                    kept=kept,
                ))  # fmt: skip
        finally:
            if job is None or job.id != job_id:
                await _remove(folder)
    return job


async def _enqueue(service: Service, preparation: Preparation, job: Job) -> Job:
    """The job, or the first one under its key."""
    first = await service.store.add(job) if job.kept else job
    if first.fingerprint != job.fingerprint:
        raise key_reused()
    if first is job:
        service.runner.enqueue(job, preparation)
    return first


def _accepted(job: Job) -> Response:
    headers = {"Location": job.location, "Retry-After": _POLL_SECONDS, "Preference-Applied": "respond-async"}
    return JSONResponse(job.to_contract(), 202, headers=headers)


async def _result(request: Request, job: Job) -> Response:
    service: Service = request.app.state.service
    try:
        if not await _ended_before_disconnect(request, job):
            if not job.kept:
                await service.runner.cancel(job)
            raise ClientDisconnect
        return await _outcome(request, job)
    finally:
        if not job.kept:
            await _remove(job.folder)


async def _outcome(request: Request, job: Job) -> Response:
    if job.status == SUCCEEDED:
        return await result_response(request, job)
    if job.status == FAILED and job.error:
        raise problem_from_contract(job.error)
    if job.status == CANCELLED:
        raise not_finished("The job was cancelled.")
    raise unavailable("The service is shutting down.")


async def _ended_before_disconnect(request: Request, job: Job) -> bool:
    ended = asyncio.create_task(job.ended.wait())
    left = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
        return ended.done()
    finally:
        ended.cancel()
        left.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _remove(folder: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
