"""Which form of a result a client prefers, by its `Accept` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterator

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

from irt_engine.service.requests.media import JSON

MIXED = "multipart/mixed"
RESULT_MEDIA_TYPES = (JSON, MIXED)
_ANY = "*/*"


def prefers_parts(headers: Headers) -> bool:
    """Whether the client names `multipart/mixed` and prefers it to JSON.

    Everything else gets JSON, also what asks for neither: clients that know of one form only need not say so.
    """
    weights = dict(_weights(",".join(headers.getlist("accept"))))
    as_json = next((weights[kind] for kind in (JSON, "application/*", _ANY) if kind in weights), 0.0)
    return weights.get(MIXED, 0.0) > as_json


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Media ranges in lower case, with their weights; a weight that is no number counts as 0."""
    for each in accept.split(","):
        kind, options = parse_options_header(each.strip())
        try:
            weight = float(options.get(b"q", b"1"))
        except ValueError:
            weight = 0.0
        yield kind.decode("latin-1").lower(), weight
