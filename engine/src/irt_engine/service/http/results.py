"""The answer with a job's result, in the form that the client prefers."""

from __future__ import annotations

import asyncio
import json
import logging

from starlette.requests import Request
from starlette.responses import Response

from irt_engine.files import open_whole
from irt_engine.scores.ability_table import batches_of_parquet
from irt_engine.scores.document import json_with_abilities
from irt_engine.service.http.accept import prefers_parts
from irt_engine.service.http.responses import JsonResult, PartsResult
from irt_engine.service.job import Job
from irt_engine.service.jobs.service import Service
from irt_engine.service.problems import not_found, problem_from

log = logging.getLogger(__name__)


async def result_response(request: Request, job: Job) -> Response:
    """The result of a job that succeeded.

    :raise Problem: 404 if it is no longer kept, 503 if there is no space for the JSON.
    """
    try:
        return await _in_preferred_form(request, job)
    except FileNotFoundError:
        raise not_found("The result is no longer kept.") from None
    except OSError as error:
        log.exception("job %s: its result cannot be sent", job.id)
        raise problem_from(error) from None


async def _in_preferred_form(request: Request, job: Job) -> Response:
    if prefers_parts(request.headers) and job.document_path.exists():
        return PartsResult(job.document_path, job.abilities_path)
    if not job.json_path.exists():
        service: Service = request.app.state.service
        # One at a time: it takes a processor from the calibrations, and the drafts have the same name.
        async with service.writing_json:
            if not job.json_path.exists():
                await asyncio.to_thread(_write_json, job)
    return JsonResult(job.json_path)


def _write_json(job: Job) -> None:
    document = json.loads(job.document_path.read_bytes())
    with open_whole(job.json_path) as file:
        for piece in json_with_abilities(document, batches_of_parquet(job.abilities_path)):
            file.write(piece.encode())
