"""Linking constants: θ_ref = A·θ + B (Kolen & Brennan, 2014, Test Equating, Scaling, and Linking, ch. 6)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

# Where the characteristic curves are compared: on the reference scale, weighted by the standard normal density.
_NODES = np.linspace(-4, 4, 41)
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()


def linking_constants(
    method: str, a_ref: np.ndarray, b_ref: np.ndarray, a_new: np.ndarray, b_new: np.ndarray
) -> tuple[float, float]:
    """Slope A and intercept B from the anchors' parameters on both scales, each (n,).

    :param method: `mean_mean`, `mean_sigma`, `haebara` or `stocking_lord` (the two curve methods in the direction new
        to reference).
    """
    slope = a_new.mean() / a_ref.mean() if method == "mean_mean" else b_ref.std() / b_new.std()
    moments = slope, b_ref.mean() - slope * b_new.mean()
    if method in {"mean_mean", "mean_sigma"}:
        return float(moments[0]), float(moments[1])
    target = _probability(a_ref, b_ref)
    root = np.sqrt(_WEIGHTS)[:, None]

    def distance(constants: np.ndarray) -> np.ndarray:
        slope, intercept = constants
        gap = target - _probability(a_new / slope, slope * b_new + intercept)
        if method == "stocking_lord":
            gap = gap.sum(axis=1, keepdims=True)
        return (root * gap).ravel()

    found = least_squares(distance, moments, xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale=1.0)
    return float(found.x[0]), float(found.x[1])


def _probability(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a * (_NODES[:, None] - b)))
