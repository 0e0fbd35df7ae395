"""Estimate a bank, leaving out items that turn out to have no finite estimate."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from irt_engine.answers.connection import drop_unlinked
from irt_engine.answers.exclusion import Exclusion, apply_rules
from irt_engine.answers.populations import Population, Populations
from irt_engine.answers.responses import Responses
from irt_engine.contract.anchors import Anchor
from irt_engine.contract.names import DAVIDIAN, NORMAL
from irt_engine.contract.settings import Settings
from irt_engine.errors import NoEstimate
from irt_engine.estimation.divergence import (
    blamed,
    is_flat,
    loses_guessing_alone,
    require_enough_answers,
    runaways,
    still_moving,
    what_helps,
)
from irt_engine.estimation.em import Estimator, Fit, NotNearError, Progress
from irt_engine.estimation.shapes import ShapedFit, davidian, histogram
from irt_engine.estimation.specification import specify
from irt_engine.estimation.start import known_parameters, near_start
from irt_engine.model.parameters import Model
from irt_engine.model.priors import Priors
from irt_engine.model.quadrature import Quadrature

log = logging.getLogger(__name__)

# Tolerance that suffices to see whether estimates exist.
_ROUGH = 1e-3


@dataclass(frozen=True)
class FittedBank:
    """`responses` that took part, the `populations` of their users, their `model`, and its `fit`.

    :ivar warm: whether the estimation began at the start that the settings give.
    """

    responses: Responses
    populations: Populations
    model: Model
    fit: Fit
    shaped: ShapedFit | None = None
    warm: bool = False

    @property
    def n_parameters(self) -> int:
        """Number of estimated parameters, including a histogram's weights, whose sum, mean and SD are given."""
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
    """Estimate the items of `responses` that are not excluded; adds to `exclusion` what cannot be estimated.

    :raise NoEstimate: too little is left; the message names the items and the remedies.
    """
    before = copy.deepcopy(exclusion)
    try:
        return _fit(responses, settings, exclusion, fixed, tolerance, progress)
    except NoEstimate:
        without = settings.model_copy(update={"priors": Priors(c=settings.priors.c)})
        if settings.priors.on_scale and _has_estimates(responses, without, before, fixed):
            raise blamed(settings, responses, exclusion) from None
        raise


def _has_estimates(responses: Responses, settings: Settings, exclusion: Exclusion, fixed: Mapping[str, Anchor]) -> bool:
    try:
        _fit(responses, settings, exclusion, fixed, _ROUGH, None)
    except NoEstimate:
        return False
    return True


def _fit(
    responses: Responses,
    settings: Settings,
    exclusion: Exclusion,
    fixed: Mapping[str, Anchor],
    tolerance: float,
    progress: Progress | None,
) -> FittedBank:
    quadrature = Quadrature.normal(settings.quadrature_points, settings.theta_min, settings.theta_max)
    without_guessing: set[str] = set()
    near: np.ndarray | None = None
    warm = False
    while True:
        kept = apply_rules(responses, settings, exclusion)
        if drop_unlinked(kept, settings, exclusion):
            continue
        populations = Populations.of(kept, settings)
        model = specify(kept, settings, fixed, without_guessing, len(populations))
        _require_identified(model, responses, settings, exclusion)
        answers = populations.split(kept)

        def estimator(answers: Sequence[Population] = answers, model: Model = model) -> Estimator:
            return Estimator(answers, model, quadrature, tolerance, settings.max_iterations, runaways, progress)

        if near is not None:
            fit = estimator().run(near)
        else:
            known = known_parameters(kept, settings, fixed)
            fit, warm = _begun(estimator, near_start(answers, model, quadrature, known))
        x, lost = fit.evaluation.x, _lost(fit)
        if not lost.any():
            shaped = _shaped(settings, model, fit, answers, quadrature, tolerance)
            return FittedBank(kept, populations, shaped.model, shaped.fit, shaped, warm)
        excluded = len(exclusion.item_reasons)
        _set_aside(kept, model, x, lost, exclusion, without_guessing)
        require_enough_answers(responses, settings, exclusion)
        # Guessing that goes to 0 changes little for the other items. After an exclusion, they are estimated as if the
        # excluded item had never existed.
        near = x if len(exclusion.item_reasons) == excluded else None


def _begun(estimator: Callable[[], Estimator], start: np.ndarray | None) -> tuple[Fit, bool]:
    """The fit from `start`, or the usual one where `start` is None or leads astray; and whether it was from `start`."""
    if start is None:
        return estimator().run(), False
    try:
        fit = estimator().try_from(start)
        if fit.converged:
            return fit, True
        spent = fit.iterations
    except NotNearError as error:
        spent = error.iterations
    log.info("the given start leads nowhere: estimating without it after %d iterations", spent)
    fit = estimator().run()
    return replace(fit, iterations=spent + fit.iterations), False


def _lost(fit: Fit) -> np.ndarray:
    """Items (J,) bool without a finite estimate."""
    model, x = fit.objective.model, fit.evaluation.x
    lost: np.ndarray = fit.lost | is_flat(model, x)
    return lost if fit.converged else lost | still_moving(model, x)


def _shaped(
    settings: Settings, model: Model, fit: Fit, answers: Sequence[Population], quadrature: Quadrature, tolerance: float
) -> ShapedFit:
    """The fit with latent distributions of the shape that the settings ask for."""
    if settings.latent == NORMAL:
        return ShapedFit(model, fit, {})

    def estimate(shaped: Model, near: np.ndarray, within: float) -> Fit:
        return Estimator(answers, shaped, quadrature, within, settings.max_iterations, runaways).run(near)

    return (davidian if settings.latent == DAVIDIAN else histogram)(model, fit, estimate, tolerance)


def _set_aside(
    kept: Responses, model: Model, x: np.ndarray, lost: np.ndarray, exclusion: Exclusion, without_guessing: set[str]
) -> None:
    """Hold an item's guessing at 0 if it goes there and nothing else is wrong; otherwise exclude the item."""
    numbers = np.flatnonzero(exclusion.items)
    of_guessing, flat = loses_guessing_alone(model, x), is_flat(model, x)
    for j in np.flatnonzero(lost).tolist():
        log.info("item %s has no finite estimate: a %.4g, d %.4g, logit c %.4g", kept.item_ids[j], *x[j])
        if of_guessing[j]:
            without_guessing.add(kept.item_ids[j])
        else:
            exclusion.drop_item(int(numbers[j]), "no discrimination" if flat[j] else "diverged")


def _require_identified(model: Model, responses: Responses, settings: Settings, exclusion: Exclusion) -> None:
    """:raise NoEstimate: the response patterns are too few to determine the parameters."""
    n_items, n_parameters = model.n_items, model.n_parameters
    details = f"{exclusion.summary(responses.item_ids)}. {what_helps(settings, exclusion)}"
    if n_items == 0:
        raise NoEstimate(f"no item is left to calibrate; {details}")
    if n_items < 30 and n_parameters > 2**n_items - 1:
        raise NoEstimate(
            f"the {2**n_items} response patterns of {n_items} items are too few to determine {n_parameters} parameters"
            f"; {details}"
        )
