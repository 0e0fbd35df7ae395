"""Estimate a bank, leaving out items that turn out to have no finite estimate."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from irt_engine.answers.connection import drop_unlinked
from irt_engine.answers.exclusion import Exclusion, apply_rules
from irt_engine.answers.populations import Populations
from irt_engine.answers.responses import Responses
from irt_engine.contract.names import DAVIDIAN, NORMAL
from irt_engine.contract.settings import Anchor, Settings
from irt_engine.errors import CalibrationError
from irt_engine.estimation.em import Estimator, Fit, Progress
from irt_engine.estimation.shapes import ShapedFit, davidian, histogram
from irt_engine.estimation.specification import specify
from irt_engine.model.parameters import Model
from irt_engine.model.quadrature import Quadrature

log = logging.getLogger(__name__)

# An item whose slope, per latent SD, or intercept passes these is on its way to infinity: its answers are all but a
# step function of ability. One whose slope is closer to 0 than the last has no difficulty. A slope that items share
# counts for each of them.
DIVERGED_SLOPE, DIVERGED_INTERCEPT, MIN_SLOPE = 10.0, 30.0, 1e-3
# Where so large a share of the items, and so many, have no finite estimate, the answers are too few for the model. To
# leave the items out would take answers from the others, of which then more diverge, down to a handful.
_MOST_LOST_SHARE, _MOST_LOST = 0.2, 5
_REMEDY = "Items need right and wrong answers; where they diverge, use 1PL or Rasch, or a prior on a"
# Beyond this logit c is on its way to minus infinity, or infinity, which only priors other than the default allow.
MAX_LOGIT_GUESSING = 9.0


@dataclass(frozen=True)
class FittedBank:
    """`responses` that took part, the `populations` of their users, their `model`, and its `fit`."""

    responses: Responses
    populations: Populations
    model: Model
    fit: Fit
    shaped: ShapedFit | None = None

    @property
    def n_parameters(self) -> int:
        """Those estimated; of a histogram the weights, of which sum, mean and SD are given."""
        weights = len(self.model.histograms) * (self.fit.objective.quadrature.points - 3)
        return self.model.n_parameters + weights

    @property
    def abilities(self) -> tuple[float, float]:
        """Mean and SD of the abilities of all users."""
        evaluation = self.fit.evaluation
        if len(self.populations) == 1:
            return self.model.latent(evaluation.x)
        means, sds = np.array(self.model.latents(evaluation.x)).T
        share = np.array([part.n_persons for part in evaluation.expected]) / evaluation.n_persons
        mean = float((share * means).sum())
        return mean, float(np.sqrt((share * (sds**2 + means**2)).sum() - mean**2))


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
    without_guessing: set[str] = set()
    near: np.ndarray | None = None
    while True:
        kept = apply_rules(responses, settings, exclusion)
        if drop_unlinked(kept, settings, exclusion):
            continue
        populations = Populations.of(kept, settings)
        model = specify(kept, settings, fixed, without_guessing, len(populations))
        _require_identified(model, exclusion)
        estimator = Estimator(
            populations.split(kept), model, quadrature, tolerance, settings.max_iterations, runaways, progress
        )
        fit = estimator.run(near)
        x = fit.evaluation.x
        n = model.n_items
        lost = fit.lost | ((np.abs(x[:n, 0]) < MIN_SLOPE) & (model.free[:n, 0] | model.common))
        if not lost.any():
            shaped = _shaped(settings, model, fit, kept, populations, quadrature, tolerance)
            return FittedBank(kept, populations, shaped.model, shaped.fit, shaped)
        numbers = np.flatnonzero(exclusion.items)
        excluded = len(exclusion.item_reasons)
        for j in np.flatnonzero(lost).tolist():
            _set_aside(kept.item_ids[j], int(numbers[j]), x[j], exclusion, without_guessing)
        _require_enough_answers(responses, exclusion)
        # Guessing that goes to zero changes little for the others. Without an item that is excluded they are estimated
        # as if it had never been there.
        near = x if len(exclusion.item_reasons) == excluded else None


def _shaped(
    settings: Settings, model: Model, fit: Fit, kept: Responses, populations: Populations, quadrature: Quadrature,
    tolerance: float,
) -> ShapedFit:  # fmt: skip
    """The fit with latent distributions of the shape that the settings ask for."""
    if settings.latent == NORMAL:
        return ShapedFit(model, fit, {})
    answers = populations.split(kept)

    def estimate(shaped: Model, near: np.ndarray, within: float) -> Fit:
        return Estimator(answers, shaped, quadrature, within, settings.max_iterations, runaways).run(near)

    return (davidian if settings.latent == DAVIDIAN else histogram)(model, fit, estimate, tolerance)


def _set_aside(item_id: str, number: int, x: np.ndarray, exclusion: Exclusion, without_guessing: set[str]) -> None:
    """Hold the guessing of an item at 0 where it goes there and nothing else is wrong; else exclude the item."""
    a, d, logit_c = x
    log.info("item %s has no finite estimate: a %.4g, d %.4g, logit c %.4g", item_id, a, d, logit_c)
    if logit_c < -MAX_LOGIT_GUESSING and abs(a) <= DIVERGED_SLOPE and abs(d) <= DIVERGED_INTERCEPT:
        without_guessing.add(item_id)
    else:
        exclusion.drop_item(number, "diverged" if abs(a) >= MIN_SLOPE else "no discrimination")


def _require_enough_answers(responses: Responses, exclusion: Exclusion) -> None:
    """:raise CalibrationError: too many items have no finite estimate."""
    reasons = list(exclusion.item_reasons.values())
    lost = reasons.count("diverged") + reasons.count("no discrimination")
    candidates = lost + int(exclusion.items.sum())
    if lost > max(_MOST_LOST, _MOST_LOST_SHARE * candidates):
        answers, _ = responses.item_counts()
        raise CalibrationError(
            f"{lost} of {candidates} items have no finite estimate: answers, {np.median(answers):g} per item in the "
            "median, do not determine slopes of their own. Use 1PL or Rasch, a larger options.min_item_responses, or a "
            f"prior on a, such as lognormal with mean 0 and sd 0.5; {exclusion.summary()}"
        )


def _require_identified(model: Model, exclusion: Exclusion) -> None:
    """:raise CalibrationError: there are more parameters than frequencies of response patterns could determine."""
    n_items, n_parameters = model.n_items, model.n_parameters
    if n_items == 0:
        raise CalibrationError(f"no item is left to calibrate; {exclusion.summary()}. {_REMEDY}")
    if n_items < 30 and n_parameters > 2**n_items - 1:
        raise CalibrationError(
            f"the {2**n_items} response patterns of {n_items} items are too few to determine {n_parameters} parameters"
            f"; {exclusion.summary()}. {_REMEDY}"
        )


def runaways(model: Model, x: np.ndarray) -> np.ndarray:
    """Items (J,) bool whose estimates are beyond any that answers can support."""
    n, sd = model.n_items, max(sd for _, sd in model.latents(x))
    steep = np.abs(x[:n, 0]) * sd > DIVERGED_SLOPE
    far = np.abs(x[:n, 1]) > DIVERGED_INTERCEPT
    extreme = np.abs(x[:n, 2]) > MAX_LOGIT_GUESSING
    lost: np.ndarray = ((steep | far) & model.free[:n, 1]) | (extreme & model.free[:n, 2])
    return lost
