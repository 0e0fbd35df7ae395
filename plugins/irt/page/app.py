"""The application that Airflow's API server mounts: HTML views, and the same data as JSON under `/api`.

It only reads. What acts on a bank is a link to a DAG's own page.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from irt.page import api, views
from irt.page.access import MAY_READ

log = logging.getLogger(__name__)

_STATIC = Path(__file__).with_name("static")
_KINDS = {".css": "text/css", ".js": "text/javascript"}
# Everything comes from this server. Vega compiles its expressions, and sets styles.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)


def application() -> FastAPI:
    app = FastAPI(
        title="IRT calibration", description="What the nightly calibrations came to.", version="1", redoc_url=None,
        docs_url=None, openapi_url=None, dependencies=[MAY_READ],
    )  # fmt: skip
    app.include_router(views.router)
    app.include_router(api.router, prefix="/api")
    app.add_api_route("/static/{name}", _static, include_in_schema=False)
    # The route that FastAPI itself makes asks for no login.
    app.add_api_route("/api/openapi.json", app.openapi, include_in_schema=False)
    app.add_exception_handler(psycopg.Error, _no_database)
    app.middleware("http")(_with_headers)
    return app


async def _with_headers(request: Request, following: Any) -> Response:
    response: Response = await following(request)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if not request.url.path.endswith((".css", ".js")):
        # Names and figures of a login must not stay in a shared browser's cache.
        response.headers["Cache-Control"] = "no-store"
    return response


def _no_database(request: Request, error: Exception) -> Response:
    """The message names no address and no user: those are in the log."""
    log.error("the page cannot read the database: %s", type(error).__name__, exc_info=error)
    message = "the database of the calibrations (connection seedtest_db) cannot be read; see the API server's log"
    if "/api/" in request.url.path:
        return JSONResponse({"detail": message}, status_code=503)
    return views.problem(request, 503, message)


def _static(name: str) -> Response:
    if name == "vega.js":
        return Response(_vega(), media_type=_KINDS[".js"], headers={"Cache-Control": "private, max-age=86400"})
    file = _STATIC / name
    if file.parent != _STATIC or file.suffix not in _KINDS or not file.is_file():
        return Response(status_code=404)
    return Response(
        file.read_bytes(), media_type=_KINDS[file.suffix], headers={"Cache-Control": "private, max-age=600"}
    )


@lru_cache(maxsize=1)
def _vega() -> bytes:
    """Vega, Vega-Lite and vega-embed as one script, out of the Python package."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").encode()
