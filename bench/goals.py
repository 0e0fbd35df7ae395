"""What the chain of one bank should take, and what it took before (commit d22bd6f, two cores)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COMMIT = "d22bd6f"
COPY_GOAL, BYTES_GOAL, READ_GOAL = 0.9, 5e8, 0.4
# Of a billion answers, on two cores: GiB, and time per answer against that of 10 million.
MEMORY_GOAL, RATIO_GOAL = 10.0, 1.3
# Seconds of the engine's fit at that commit; it should be no slower.
FITS_BEFORE = {"0.5M": 0.061, "2M": 0.286, "10M": 1.34}
# Seconds of all steps.
SECONDS_GOALS = {"0.5M": 2.0, "10M": 14.0}

_STEPS = (
    "extract_responses", "extract_anchors", "calibrate: send", "calibrate: wait", "calibrate: read", "load", "check",
    "publish",
)  # fmt: skip


@dataclass(frozen=True)
class Before:
    """:ivar seconds: of each step; `peak_bytes` of the extraction; `copy_rate` of the extraction."""

    seconds: dict[str, float]
    peak_bytes: float
    copy_rate: float


BEFORE = {
    "0.5M": Before(dict(zip(_STEPS, (1.67, 0.06, 0.21, 1.26, 0.33, 0.33, 0.10, 0.05), strict=True)), 412e6, 0.18),
    "10M": Before(dict(zip(_STEPS, (10.63, 0.50, 3.58, 16.15, 1.95, 0.64, 0.29, 0.37), strict=True)), 1691e6, 0.55),
}


def verdict(case: str, figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows of what is measured, before, now, and the goal with whether it is met."""
    before = BEFORE.get(case)
    rate = before.copy_rate if before else None
    peak, now = before.peak_bytes / 1e6 if before else None, figures["extraction_bytes"] / 1e6
    rows = [
        _row("extraction, share of COPY's rate", rate, figures["copy_rate"], COPY_GOAL, "{:.0%}"),
        _row("extraction, peak MB", peak, now, BYTES_GOAL / 1e6, "{:,.0f}", less=True),
    ]
    if (read := figures.get("read_seconds")) is not None:
        was = before.seconds["calibrate: read"] if before else None
        rows.append(_row("reading the result, s", was, read, READ_GOAL, "{:.2f}", less=True))
    whole = sum(before.seconds.values()) if before else None
    rows.append(_row("all steps, s", whole, figures["seconds"], SECONDS_GOALS.get(case), "{:.1f}", less=True))
    return rows


def _row(
    what: str, before: float | None, now: float, goal: float | None, form: str, *, less: bool = False
) -> tuple[str, str, str, str]:
    told = ""
    if goal is not None:
        met = now < goal if less else now >= goal
        told = f"{'<' if less else '≥'} {form.format(goal)}: {'met' if met else 'missed'}"
    return what, "" if before is None else form.format(before), form.format(now), told
