"""What the engine refuses, and what it cannot do."""

from __future__ import annotations

from typing import Any


class InputError(ValueError):
    """The input cannot be used. Names the field and the value."""

    def __init__(self, field: str, value: Any, message: str) -> None:
        super().__init__(f"{field}: {message} (got {_short(value)})")
        self.field = field
        self.value = value
        self.message = message
        self.errors = [{"field": field, "value": _short(value), "message": message}]


class CalibrationError(RuntimeError):
    """The input is well formed, but nothing can be estimated from it."""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
