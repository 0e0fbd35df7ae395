"""A line from one scale of abilities to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """Linking constants, with their derivatives by the anchors' new a and b: each (n, 2), columns slope, intercept."""

    slope: float
    intercept: float
    by_a: np.ndarray
    by_b: np.ndarray
