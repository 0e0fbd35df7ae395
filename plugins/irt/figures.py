"""Rounds figures for the log; stored figures keep all digits."""

from __future__ import annotations

from typing import Any


def rounded(value: Any, digits: int) -> str:
    """A number with `digits` decimals; None as `none`, anything else unchanged."""
    if value is None:
        return "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.{digits}f}"
