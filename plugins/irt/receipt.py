"""The receipt of a load: what was calibrated, by which versions, and what came out, as SHA-256 of the staged objects.

It holds no personal data. `irt.replay` calibrates again and compares.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from irt.provider import PACKAGE
from irt.staging import ABILITIES, ANCHORS, FIT, ITEMS, REQUEST, RESPONSES, START

INPUT_COLUMNS = {
    RESPONSES: "responses_sha256",
    ANCHORS: "anchors_sha256",
    START: "start_sha256",
    REQUEST: "request_sha256",
}
RESULT_COLUMNS = {ITEMS: "items_sha256", ABILITIES: "abilities_sha256", FIT: "fit_sha256"}
# Of the pipeline: what reads, converts and writes the staged objects. In a checkout, the pipeline is no package.
_PACKAGES = (PACKAGE, "apache-airflow", "numpy", "pyarrow")


def receipt_of(fit: dict[str, Any], sent: dict[str, Any] | None, digests: dict[str, str]) -> dict[str, Any]:
    """The row of `irt.receipt`, without its load.

    :param fit: the result's; the service states its engine there.
    :param sent: see `request.sent_of`; None if a version without receipts calibrated.
    :param digests: of the result's objects.
    """
    known = sent or {"inputs": {}, "contract": None}
    engine = engine_of(fit)
    packages = engine.get("packages")
    return {
        **{column: known["inputs"].get(name) for name, column in INPUT_COLUMNS.items()},
        **{column: digests[name] for name, column in RESULT_COLUMNS.items()},
        "engine": engine.get("name"),
        "engine_version": engine.get("version"),
        "engine_packages": packages if isinstance(packages, dict) else None,
        "contract": known["contract"],
        "pipeline_packages": pipeline_packages(),
    }


def engine_of(fit: dict[str, Any]) -> dict[str, Any]:
    """What the service states of its engine; empty if it states nothing."""
    engine = fit["model_spec"].get("engine")
    return engine if isinstance(engine, dict) else {}


def pipeline_packages() -> dict[str, str]:
    """The versions of Python and of the pipeline's packages in this process."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
