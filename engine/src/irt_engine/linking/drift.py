"""Anchors that drifted: iterated robust z (Huynh & Meyer 2010, Practical Assessment, Research & Evaluation 15(2)).

z = (D - median(D)) / (0.74 IQR(D)), first for D = log(a / a_ref), then, with A the exponential of the median of these,
for D = b_ref - A b. Median and interquartile range are those of the anchors still kept; anchors that drifted are left
out and the rest is judged again, until none has.

Robust z compares the anchors with each other as if all were equally well estimated. An anchor with few answers or a
flat response function then often seems to have drifted where it did not. So an anchor counts as drifted when its z is
beyond the threshold *and* so is its difference from the median in units of its own standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.linking.constants import AnchorParameters

# With fewer anchors quartiles say nothing.
_MIN_ANCHORS = 4
# Differences that are all equal have no spread; this is far below any that is seen in data.
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Screening:
    """What was found of n anchors: `kept` (n,) bool, robust z of log a and of b (n,), and why others were left out."""

    kept: np.ndarray
    z_a: np.ndarray
    z_b: np.ndarray
    reasons: list[str | None]


def screen(
    anchors: AnchorParameters, se_a: np.ndarray, se_b: np.ndarray, threshold: float, *, one_slope: bool = False
) -> Screening:
    """Find the anchors that drifted.

    :param se_a: standard errors of the new a (n,), as `se_b` of the new b; NaN where the data do not determine them.
    :param threshold: an anchor whose |z| is beyond has drifted.
    :param one_slope: the new calibration fixes all slopes (Rasch); only difficulties are judged.
    """
    n = anchors.a.size
    kept = anchors.a > 0
    reasons: list[str | None] = [None if ok else "discrimination is not positive" for ok in kept]
    slopes = np.where(kept, anchors.a, 1.0)
    log_ratio = np.log(slopes / anchors.a_ref)
    if one_slope:
        log_ratio[:] = -np.log(anchors.a_ref.mean())
    z_a = z_b = np.zeros(n)
    while kept.sum() >= _MIN_ANCHORS:
        slope = np.exp(np.median(log_ratio[kept]))
        difference = anchors.b_ref - slope * anchors.b
        now_a, drifted_a = _judge(log_ratio, se_a / slopes, kept, threshold)
        now_b, drifted_b = _judge(difference, slope * se_b, kept, threshold)
        # Of those left out earlier the z that told against them stays.
        z_a, z_b = np.where(kept, now_a, z_a), np.where(kept, now_b, z_b)
        if not (drifted_a | drifted_b).any():
            break
        for i in np.flatnonzero(drifted_a | drifted_b):
            name, z = ("a", z_a[i]) if drifted_a[i] else ("b", z_b[i])
            reasons[i] = f"robust z of {name} is {z:.2f}, beyond {threshold:g}"
        kept = kept & ~drifted_a & ~drifted_b
    return Screening(kept, z_a, z_b, reasons)


def _judge(
    differences: np.ndarray, errors: np.ndarray, kept: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Robust z of all anchors (n,), and which of those kept drifted (n,)."""
    low, middle, high = np.percentile(differences[kept], [25, 50, 75])
    away = differences - middle
    z = away / max(0.74 * (high - low), _LEAST_SPREAD)
    # A difference without an SE cannot be told from chance.
    certain = np.abs(away) > threshold * np.nan_to_num(errors, nan=np.inf)
    return z, kept & certain & (np.abs(z) > threshold)
