"""Figures in a log: rounded to what a person reads; what is stored keeps all digits."""

from __future__ import annotations

from typing import Any


def rounded(value: Any, digits: int) -> str:
    """A number with so many decimals; what is no number as it is, nothing as `none`."""
    if value is None:
        return "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.{digits}f}"
