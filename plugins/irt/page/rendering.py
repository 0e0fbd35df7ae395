"""The templates of the page and of the report, and how they write figures."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_cached: list[Environment] = []


def environment() -> Environment:
    if not _cached:
        folder = Path(__file__).with_name("templates")
        found = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
        found.trim_blocks = found.lstrip_blocks = True
        found.filters |= {
            "number": number,
            "moment": moment,
            "figure": figure,
            "specification": _specification,
            "points": _points,
        }
        _cached.append(found)
    return _cached[0]


def number(value: Any, digits: int = 3) -> str:
    """A figure for people: thousands separated, a real minus sign; a dash if there is no figure."""
    if value is None:
        return "–"
    written = f"{value:,}" if isinstance(value, int) else f"{float(value):,.{digits}f}"
    return written.replace("-", "\u2212")


def figure(value: float | None) -> str:
    """A check's figure, which may be a count."""
    return number(int(value) if value is not None and value.is_integer() and abs(value) >= 2 else value)


def moment(value: datetime | None) -> str:
    return "–" if value is None else f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _specification(value: Any) -> Markup:
    """JSON that no HTML parser mistakes for a tag."""
    written = json.dumps(value, allow_nan=False, default=str)
    return Markup(written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def _points(values: list[float | None], width: int = 120, height: int = 24) -> str:
    """The points of a sparkline, `x,y` each; those without a figure are left out."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    step = width / max(len(values) - 1, 1)
    return " ".join(
        f"{n * step:.1f},{height - 2 - (value - low) / span * (height - 4):.1f}"
        for n, value in enumerate(values)
        if value is not None
    )
