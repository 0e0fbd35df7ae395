"""Estimate a bank, leaving out items that turn out to have no finite estimate."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from irt_engine.estimation import Estimator, Fit, Progress
from irt_engine.exclusion import Exclusion, apply_rules
from irt_engine.model import Model, latent
from irt_engine.quadrature import Quadrature
from irt_engine.responses import Responses
from irt_engine.settings import Anchor, Settings
from irt_engine.specification import specify

log = logging.getLogger(__name__)

# An item whose slope, per latent SD, or intercept passes these is on its way to infinity: its answers are all but a
# step function of ability. One whose slope is closer to 0 than the last has no difficulty.
MAX_SLOPE, MAX_INTERCEPT, MIN_SLOPE = 10.0, 30.0, 1e-3


@dataclass(frozen=True)
class FittedBank:
    """`responses` that took part, their `model`, and its `fit`."""

    responses: Responses
    model: Model
    fit: Fit


def fit_bank(
    responses: Responses,
    settings: Settings,
    exclusion: Exclusion,
    fixed: Mapping[str, Anchor],
    tolerance: float,
    progress: Progress | None,
) -> FittedBank:
    """Estimate the items of `responses` that are not excluded; extends `exclusion` by what cannot be estimated.

    :raise CalibrationError: too little is left.
    """
    quadrature = Quadrature.normal(settings.quadrature_points, settings.theta_min, settings.theta_max)
    while True:
        kept = apply_rules(responses, settings, exclusion)
        model = specify(kept, settings, fixed)
        estimator = Estimator(
            kept.offsets, kept.codes, model, quadrature, tolerance, settings.max_iterations, runaways, progress
        )
        fit = estimator.run()
        lost = runaways(model, fit.evaluation.x) | _flat(model, fit)
        if not lost.any():
            return FittedBank(kept, model, fit)
        numbers = np.flatnonzero(exclusion.items)
        for j in np.flatnonzero(lost).tolist():
            a, d, _ = fit.evaluation.x[j]
            reason = "diverged" if abs(a) >= MIN_SLOPE else "no discrimination"
            log.info("item %s %s: a %.4g, d %.4g after %d iterations", kept.item_ids[j], reason, a, d, fit.iterations)
            exclusion.drop_item(int(numbers[j]), reason)


def runaways(model: Model, x: np.ndarray) -> np.ndarray:
    """Items (J,) bool whose estimates are beyond any that answers can support."""
    _, sd = latent(x)
    steep = np.abs(x[:-1, 0]) * sd > MAX_SLOPE
    far = np.abs(x[:-1, 1]) > MAX_INTERCEPT
    return (steep & model.free[:-1, 0]) | (far & model.free[:-1, 1])


def _flat(model: Model, fit: Fit) -> np.ndarray:
    return (np.abs(fit.evaluation.x[:-1, 0]) < MIN_SLOPE) & model.free[:-1, 0]
