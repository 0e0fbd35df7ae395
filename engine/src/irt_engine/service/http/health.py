"""The answer of `/healthz`, which needs no token."""

from __future__ import annotations

from typing import Any

import irt_engine
from irt_engine.contract.names import LINKING_METHODS, MODELS
from irt_engine.service.http.accept import RESULT_MEDIA_TYPES
from irt_engine.service.jobs.runner import Runner
from irt_engine.service.limits import Limits
from irt_engine.service.requests.media import CONTENT_ENCODINGS, MEDIA_TYPES

SERVICE = "irt-engine"
CONTRACT = "1.0"
# Optional features of the contract that this service supports.
CAPABILITIES = ("changes", "groups", "latent_shapes", "start", "verdicts", "weak_links")


def health(runner: Runner, limits: Limits) -> dict[str, Any]:
    return {
        "status": runner.status,
        "service": SERVICE,
        "version": irt_engine.__version__,
        "engine": {"name": SERVICE, "version": irt_engine.__version__},
        "contract": CONTRACT,
        "models": MODELS,
        "linking_methods": LINKING_METHODS,
        "capabilities": CAPABILITIES,
        "media_types": MEDIA_TYPES,
        "result_media_types": RESULT_MEDIA_TYPES,
        "observation_forms": ("rows", "columns"),
        "content_encodings": CONTENT_ENCODINGS,
        "async": True,
        "jobs": {"running": runner.running, "queued": runner.queued, "limit": limits.max_jobs},
        "limits": {"body_bytes": limits.max_body_bytes, "rows": limits.max_rows},
    }
