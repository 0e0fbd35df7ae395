"""One calibration from responses to result."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from irt_engine.answers.exclusion import Exclusion, everyone
from irt_engine.answers.responses import Responses
from irt_engine.answers.weak_links import weak_links
from irt_engine.cluster import connection
from irt_engine.contract.anchors import Anchor
from irt_engine.contract.names import NORMAL
from irt_engine.contract.settings import Settings
from irt_engine.errors import InputError, TooFewAnchors
from irt_engine.estimation.em import Progress
from irt_engine.estimation.fitting import FittedBank, fit_bank
from irt_engine.linking.anchoring import Anchoring, fixed_anchors, linked_anchors, require_anchors
from irt_engine.result import Calibration, population_rows
from irt_engine.scores.itemfit import item_fit
from irt_engine.scores.scoring import (
    Abilities,
    ItemParameters,
    estimate_abilities,
    marginal_reliability,
    modal_estimates,
)
from irt_engine.shapes import shapes_of
from irt_engine.standard_errors.bordered import BorderedCovariance
from irt_engine.standard_errors.covariance import Covariance
from irt_engine.standard_errors.estimates import estimates, latent_distributions, linked_distributions
from irt_engine.standard_errors.information import Information
from irt_engine.standard_errors.normality import normality
from irt_engine.standard_errors.subspace import invert
from irt_engine.verdicts.holding import Verdicts

log = logging.getLogger(__name__)

# To tell which anchors drifted, estimates need not be better than this.
_SCREENING_TOLERANCE = 1e-4


def calibrate(responses: Responses, settings: Settings, progress: Progress | None = None) -> Calibration:
    """Calibrate a bank: item parameters with standard errors, abilities and fit, on the scale of the anchors.

    :param progress: called after each iteration with its number, the log-likelihood and the longest further step.
    :raise CalibrationError: too few items, answers or anchors are left; the message has the numbers.
    """
    if settings.timed and responses.times is None:
        raise InputError("verdicts.changed", None, "needs responses with times (timed=True)")
    if cluster := connection.current():
        cluster.make_room(len(responses))
    timings: dict[str, float] = {}
    exclusion = everyone(responses)
    verdicts = Verdicts(settings)
    bank, matrix, anchoring = _estimate(responses, settings, exclusion, verdicts, progress, timings)
    fit = bank.fit
    with _timed(timings, "scores"):
        abilities = _abilities(bank, settings)
    with _timed(timings, "item_fit"):
        fit_statistics = item_fit(
            bank.responses, fit.objective.populations, bank.model, fit.evaluation, fit.objective.quadrature,
            abilities.theta,
        )  # fmt: skip
    line = anchoring.to_reference if anchoring else None
    with _timed(timings, "standard_errors"):
        items = estimates(bank.model, fit.evaluation.x, matrix, line, anchoring.rows if anchoring else None)
        distributions = latent_distributions(bank.model, fit.evaluation.x, matrix)
        linked = distributions
        tests = None
        if settings.latent_check and settings.latent == NORMAL:
            tests = normality(fit.objective, fit.evaluation, matrix)
        if line is not None and anchoring is not None:
            linked = linked_distributions(bank.model, fit.evaluation.x, matrix, line, anchoring.rows)
        # With anchors held, the scale of the estimation is theirs, whatever it was inside.
        own = linked if anchoring is not None and anchoring.unit is not None else distributions
    return Calibration(
        settings=settings,
        responses=bank.responses,
        excluded=exclusion.to_contract(responses),
        items=items,
        item_fit=fit_statistics,
        abilities=abilities if line is None else abilities.moved(line.slope, line.intercept),
        latent=own[0],
        shapes=shapes_of(bank, own, tests),
        populations=population_rows(bank, linked, shapes_of(bank, linked, tests)),
        anchoring=anchoring,
        weak_links=weak_links(bank.responses, settings),
        verdicts=verdicts,
        reliability=marginal_reliability(abilities.se, bank.abilities[1]),
        loglik=fit.evaluation.loglik,
        n_parameters=bank.n_parameters,
        iterations=fit.iterations,
        warm=bank.warm,
        converged=fit.converged and (bank.shaped is None or bank.shaped.settled),
        max_change=fit.max_change,
        max_gradient=fit.max_gradient,
        timings=timings,
    )


_Estimated = tuple[FittedBank, Covariance, Anchoring | None]


def _estimate(
    responses: Responses, settings: Settings, exclusion: Exclusion, verdicts: Verdicts, progress: Progress | None,
    timings: dict[str, float],
) -> _Estimated:  # fmt: skip
    """Estimate the bank and link it; again without held items and outdated answers, until there are no more."""
    if settings.linking.method != "none" and settings.linking.required:
        require_anchors(settings, responses.item_ids)
    while True:
        found = _estimate_once(verdicts.used(responses), settings, exclusion, verdicts, progress, timings)
        if found is not None:
            return found
        verdicts.rounds += 1


def _estimate_once(
    responses: Responses, settings: Settings, exclusion: Exclusion, verdicts: Verdicts, progress: Progress | None,
    timings: dict[str, float],
) -> _Estimated | None:  # fmt: skip
    """With the method `fixed` estimate freely first, to see which anchors drifted.

    :return: None if items were held.
    """
    method, fixed = settings.linking.method, settings.linking.method == "fixed"
    anchoring = None
    held: dict[str, Anchor] = {}
    if fixed:
        tolerance = max(settings.tolerance, _SCREENING_TOLERANCE)
        bank, matrix = _fit(responses, settings, exclusion, held, tolerance, None, timings)
        if verdicts.hold_by_fit(bank, matrix, exclusion, is_final=False):
            return None
        anchoring = fixed_anchors(settings, bank, matrix)
        held = anchoring.held_in_fit()
    bank, matrix = _fit(responses, settings, exclusion, held, settings.tolerance, progress, timings)
    is_final = fixed and anchoring is not None and anchoring.unit is None
    if verdicts.hold_by_fit(bank, matrix, exclusion, is_final=is_final):
        return None
    if method not in ("none", "fixed"):
        with _timed(timings, "linking"):
            anchoring = _linked(settings, bank, matrix)
    line = anchoring.to_reference if anchoring else None
    if verdicts.hold_on_scale(bank, matrix, exclusion, line, is_final=is_final):
        return None
    return bank, matrix, anchoring


def _linked(settings: Settings, bank: FittedBank, matrix: Covariance) -> Anchoring | None:
    """None where anchors are too few, and the settings do not require a linking."""
    try:
        return linked_anchors(settings, bank, matrix)
    except TooFewAnchors as error:
        if settings.linking.required:
            raise
        log.warning("not linked: %s", error)
        return None


def _fit(
    responses: Responses, settings: Settings, exclusion: Exclusion, held: dict[str, Anchor], tolerance: float,
    progress: Progress | None, timings: dict[str, float],
) -> tuple[FittedBank, Covariance]:  # fmt: skip
    with _timed(timings, "fit"):
        bank = fit_bank(responses, settings, exclusion, held, tolerance, progress)
    fit = bank.fit
    log.info(
        "%s after %d iterations: log-likelihood %.6f, largest change %.3g, largest gradient per SE %.3g",
        "converged" if fit.converged else "NOT converged", fit.iterations, fit.evaluation.loglik,
        fit.max_change, fit.max_gradient,
    )  # fmt: skip
    with _timed(timings, "standard_errors"):
        information = Information(fit.objective, fit.evaluation)
        covariance = invert(information)
        if bank.model.is_shaped:
            return bank, BorderedCovariance.of(fit.objective, fit.evaluation, covariance)
        return bank, covariance


def _abilities(bank: FittedBank, settings: Settings) -> Abilities:
    """Those of all users, each under the distribution of the own population."""
    fit, n = bank.fit, bank.responses.n_users
    parameters = ItemParameters(*bank.model.items(fit.evaluation.x))
    theta, se = np.empty(n), np.empty(n)
    names: list[str] = [name for name in settings.scores if name != "EAP"]
    others = {name: (np.empty(n), np.empty(n)) for name in names}
    for g, part in enumerate(fit.objective.populations):
        own, distribution = parameters.take(part.items), bank.model.latent(fit.evaluation.x, g)
        if distribution == (0.0, 1.0) or bank.model.is_shaped:
            # The last E-step has them already.
            modes = modal_estimates(part, own, settings, distribution)
            found = Abilities(fit.persons[part.persons, 1], fit.persons[part.persons, 2], modes)
        else:
            found = estimate_abilities(part, own, settings, distribution, in_place=bank.responses.group_ids is None)
        theta[part.persons], se[part.persons] = found.theta, found.se
        for name, (values, errors) in found.others.items():
            others[name][0][part.persons], others[name][1][part.persons] = values, errors
    return Abilities(theta, se, others)


@contextmanager
def _timed(timings: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    timings[phase] = timings.get(phase, 0.0) + time.perf_counter() - started
