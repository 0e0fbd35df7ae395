"""The parameters from which a run's estimation may start: those that its bank last published.

They are staged once, so that a calibration that is tried again sends the same request. The service sees for itself
whether they are near the new estimates; here they are left out only where they cannot be: the model, the groups, the
shape of the abilities or the linking were others.
"""

from __future__ import annotations

import math
from typing import Any

from irt.run import Run
from irt.sql import statement
from irt.staging import START, read_json

PUBLISHED, COLD = "published", "cold"
# Of a run's settings, with the values of runs from before there were these settings.
_DECISIVE: dict[str, Any] = {"model": None, "linking": None, "groups": None, "latent": "normal"}
# Parameters beyond are refused by the contract.
_LIMIT_A, _LIMIT_B = 1000.0, 10_000.0


def published_start(database: Any, run: Run, items: str) -> tuple[list[dict[str, Any]], str]:
    """What to stage as the run's start, sorted by item, and a sentence about it.

    :param items: JSON array of the ids of the items that have responses.
    """
    if run.start == COLD:
        return [], "none, as the bank says start: cold"
    row = database.get_first(statement("extract/start"), {"run_key": run.run_key, "items": items})
    if row is None:
        return [], "none: nothing was published before"
    run_key, settings, known = row
    other = [name for name, before in _DECISIVE.items() if settings.get(name, before) != getattr(run, name)]
    if other:
        return [], f"none: {other[0]} was another in run {run_key}, which was published last"
    start = [{"item_id": item, "params": _params(*values)} for item, *values in sorted(known) if _is_allowed(*values)]
    return start, f"{len(start)} items, from run {run_key}, which was published last"


def read_start(run: Run) -> list[dict[str, Any]]:
    """The staged start; empty if none was staged, as before there was one."""
    try:
        start: list[dict[str, Any]] = read_json(run.staged(START))
    except FileNotFoundError:
        return []
    return start


def _params(a: float, b: float, c: float | None) -> dict[str, float]:
    return {"a": a, "b": b} if c is None else {"a": a, "b": b, "c": c}


def _is_allowed(a: float | None, b: float | None, c: float | None) -> bool:
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return False
    return abs(a) <= _LIMIT_A and abs(b) <= _LIMIT_B and (c is None or 0.0 <= c < 1.0)
