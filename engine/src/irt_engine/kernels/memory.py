"""Memory for arrays of which kernels read or write a row here and a row there.

Each row then lies on another page, and with pages of 4 KiB the processor looks up addresses as often as it computes.
Large pages save a fifth of the time. Linux grants them where they are asked for, and NumPy asks for every array from
4 MiB on, but does not align it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_LARGE_PAGE, _ASKED_FROM = 2 * 2**20, 4 * 2**20


def scattered_zeros(shape: Sequence[int], precision: type[np.floating[Any]]) -> np.ndarray:
    """Zeros of a shape and float32 or float64, from the start of a large page on."""
    size = math.prod(shape) * np.dtype(precision).itemsize
    memory = np.zeros(max(size + _LARGE_PAGE, _ASKED_FROM), np.uint8)
    start = -memory.ctypes.data % _LARGE_PAGE
    return memory[start : start + size].view(precision).reshape(shape)
