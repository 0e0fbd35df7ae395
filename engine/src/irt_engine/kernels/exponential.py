"""exp and the logistic function written so that a loop over nodes becomes vector instructions on any machine.

numba calls the C library's exp, one number at a time, unless Intel's vector library happens to be installed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import overload

# As `jit.part`, but sums keep their order: here it makes them exact.
_JIT: Any = {"fastmath": {"contract", "nsz", "nnan"}, "error_model": "numpy", "forceinline": True}

_LOG2E = 1.4426950408889634
# ln 2 in two parts, the first with so few bits that its product with a small integer is exact (Cody & Waite 1980).
_LN2_HIGH_32, _LN2_LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LN2_HIGH_64, _LN2_LOW_64 = 6.93145751953125e-1, 1.42860682030941723212e-6
# Minimax coefficients of (exp(f) - 1 - f) / f**2 on |f| <= ln(2)/2 (Moshier, Cephes `expf`).
_C0, _C1, _C2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_C3, _C4, _C5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_ONE_32, _HALF_32, _LOG2E_32 = np.float32(1.0), np.float32(0.5), np.float32(_LOG2E)
_MIN_32, _MAX_32, _MIN_64, _MAX_64 = np.float32(-87.0), np.float32(88.0), -708.0, 709.0


def exp(x: float) -> float:
    """exp(x) in the precision of `x` (relative error below 2e-7 or 5e-16), clipped to the range of numbers."""
    return math.exp(x)


@overload(exp, jit_options=_JIT)
def _exp(x):
    from numba import types

    return _exp32 if x == types.float32 else _exp64


def _exp32(x):
    x = min(max(x, _MIN_32), _MAX_32)
    n = np.floor(x * _LOG2E_32 + _HALF_32)
    f = (x - n * _LN2_HIGH_32) - n * _LN2_LOW_32
    p = ((((_C0 * f + _C1) * f + _C2) * f + _C3) * f + _C4) * f + _C5
    p = p * f * f + f + _ONE_32
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


def _exp64(x):
    x = min(max(x, _MIN_64), _MAX_64)
    n = np.floor(x * _LOG2E + 0.5)
    f = (x - n * _LN2_HIGH_64) - n * _LN2_LOW_64
    # Taylor's series: the first term left out is below 1e-17 of the sum.
    p = 1.0 / 6227020800.0
    p = p * f + 1.0 / 479001600.0
    p = p * f + 1.0 / 39916800.0
    p = p * f + 1.0 / 3628800.0
    p = p * f + 1.0 / 362880.0
    p = p * f + 1.0 / 40320.0
    p = p * f + 1.0 / 5040.0
    p = p * f + 1.0 / 720.0
    p = p * f + 1.0 / 120.0
    p = p * f + 1.0 / 24.0
    p = p * f + 1.0 / 6.0
    p = p * f + 0.5
    p = p * f * f + f + 1.0
    return p * np.int64((np.int64(n) + np.int64(1023)) << np.int64(52)).view(np.float64)
