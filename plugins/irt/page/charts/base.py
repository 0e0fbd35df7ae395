"""What the pictures share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Spec = dict[str, Any]
Words = Callable[[str], str]
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Of a 95 % interval.
Z = 1.959964


def of(description: str, spec: Spec) -> Spec:
    """A whole specification."""
    config = {"legend": {"orient": "top"}, "axis": {"labelOverlap": True, "labelSeparation": 8}}
    return {"$schema": _SCHEMA, "description": description, "background": None, "config": config, **spec}
