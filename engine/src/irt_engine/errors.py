"""Exceptions for malformed input, and for data that cannot be calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class InputError(ValueError):
    """The input is malformed.

    :ivar field: path of the first wrong field, such as `anchors[3].params.a`.
    :ivar value: the value of that field.
    :ivar message: what is wrong with it.
    :ivar errors: all errors, each as `{"field", "value", "message"}`.
    """

    def __init__(self, field: str, value: Any, message: str, errors: Sequence[dict[str, Any]] | None = None) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.value = value
        self.message = message
        self.errors = list(errors) if errors else [{"field": field, "value": value, "message": message}]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.message, self.errors)


class CalibrationError(RuntimeError):
    """The data are well formed but cannot be calibrated; the message has the figures."""


class NoEstimate(CalibrationError):
    """Too few items have a finite estimate."""


class TooFewAnchors(CalibrationError):
    """Too few anchors for the linking, among the items or after the screening for drift."""


class ClusterLost(RuntimeError):
    """The cluster that the calibration ran on is gone, or has lost all its workers: another try may succeed."""
