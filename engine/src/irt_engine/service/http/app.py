"""The routes of the service, with middleware and error handlers."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from irt_engine.service.http.access import RecordAccess
from irt_engine.service.http.auth import RequireToken, Tokens
from irt_engine.service.http.health import health
from irt_engine.service.http.responses import ProblemResponse
from irt_engine.service.http.results import result_response
from irt_engine.service.http.submission import submit
from irt_engine.service.job import SUCCEEDED, Job
from irt_engine.service.jobs.service import Service
from irt_engine.service.metrics import CONTENT_TYPE
from irt_engine.service.problems import Problem, http_problem, not_finished, not_found, problem_from

_MAX_LISTED = 1000


def create_app(service: Service, tokens: Callable[[], Tokens] | None) -> Starlette:
    """The application; without `tokens` it is open to anyone."""
    routes = [
        Route("/irt/calibrate", calibrate, methods=["POST"]),
        Route("/irt/score", score, methods=["POST"]),
        Route("/irt/jobs", list_jobs, methods=["GET"]),
        Route("/irt/jobs/{job_id}", one_job, methods=["GET", "DELETE"]),
        Route("/irt/jobs/{job_id}/result", show_result, methods=["GET"]),
        Route("/healthz", show_health, methods=["GET"]),
        Route("/metrics", show_metrics, methods=["GET"]),
    ]
    guards = [Middleware(RequireToken, tokens=tokens)] if tokens else []
    app = Starlette(
        routes=routes,
        middleware=[Middleware(RecordAccess, metrics=service.metrics), *guards],
        exception_handlers={
            Problem: _on_exception,
            HTTPException: _on_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_exception,
        },
        lifespan=service.lifespan,
    )
    # A path with an extra slash is unknown, not redirected.
    app.router.redirect_slashes = False
    app.state.service = service
    return app


async def calibrate(request: Request) -> Response:
    return await submit(request, "calibrate")


async def score(request: Request) -> Response:
    return await submit(request, "score")


async def list_jobs(request: Request) -> Response:
    jobs = _service(request).store.newest_first()[:_MAX_LISTED]
    return JSONResponse({"jobs": [job.to_contract() for job in jobs]})


async def one_job(request: Request) -> Response:
    """Show the job, or cancel it first. One route for both, so that a 405 lists both in `Allow`."""
    job = _job(request)
    if request.method == "DELETE":
        await _service(request).runner.cancel(job)
    return JSONResponse(job.to_contract())


async def show_result(request: Request) -> Response:
    job = _job(request)
    if job.status != SUCCEEDED:
        raise not_finished(f"The job is {job.status}.", job.error)
    return await result_response(request, job)


async def show_health(request: Request) -> Response:
    service = _service(request)
    state = health(service.runner, service.limits)
    return JSONResponse(state, 200 if state["status"] == "ok" else 503)


async def show_metrics(request: Request) -> Response:
    return PlainTextResponse(_service(request).metrics.render(), media_type=CONTENT_TYPE)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _job(request: Request) -> Job:
    """:raise Problem: 404 if the job does not exist, or no longer exists."""
    # The id is only looked up among known ids; it never becomes part of a path.
    job = _service(request).store.get(request.path_params["job_id"])
    if job is None:
        raise not_found("There is no such job; perhaps it is no longer kept.")
    return job


async def _on_exception(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        title = HTTPStatus(error.status_code).phrase
        return ProblemResponse(http_problem(error.status_code, title, error.detail, error.headers))
    return ProblemResponse(problem_from(error))


async def _on_disconnect(_: Request, __: Exception) -> Response:
    # Nobody reads it; access logs show 499 for a client that disconnected.
    return Response(status_code=499)
