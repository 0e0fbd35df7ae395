"""A start from parameters of an earlier result, where that is closer to the maximum than a start from nothing.

The parameters are on the scale of that result, whichever it is: the mean and SD of each population on that scale are
estimated first, with the items held, from a sample of the persons; they lead to the scale of the estimation. Whether
the start is close is judged on the same sample. A single item that is not (its question was edited, say) starts as it
would without; if many are not, or few items have one, there is no such start, and the estimation takes its usual path.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from irt_engine.answers.populations import Population
from irt_engine.answers.responses import Responses
from irt_engine.contract.anchors import Anchor
from irt_engine.contract.settings import Settings
from irt_engine.estimation.divergence import MIN_SLOPE
from irt_engine.estimation.maximisation import expected_log_posterior
from irt_engine.estimation.objective import Evaluation, Objective
from irt_engine.estimation.quasi_newton import Curvature, EmStep
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model
from irt_engine.model.quadrature import Quadrature

log = logging.getLogger(__name__)

# The sample has at least this many persons per population.
_SAMPLE_PERSONS = 1500
# Iterations for means and SDs, and the change, in SDs, that ends them; the estimation refines them.
_ITERATIONS, _ENOUGH = 10, 0.01
_LONGEST = 1.0
# Items beyond these slopes and intercepts, on a guess of the estimation's scale, start as without the start: they might
# not come back from there.
_STEEPEST, _FARTHEST = 8.0, 15.0
# An item starts as without the start if its expected log-posterior is higher there by more than this.
_MARGIN = 5.0
# The start is close if at most `_FEW` of the parameters are more than `_FAR` standard errors (of the sample) from the
# maximum, and half of them less than `_NEAR`: about what the estimation's own first stages would come to.
_FAR, _FEW, _NEAR = 4.0, 0.1, 1.5


def known_parameters(responses: Responses, settings: Settings, fixed: Mapping[str, Anchor]) -> np.ndarray:
    """Slope, difficulty and guessing (J, 3) that the settings give as a start; NaN where they give none.

    Seeds start at their own values. The result is on the scale of the anchors in `fixed`, if that is not the settings'.
    """
    seeds = {anchor.item_id for anchor in settings.anchors if not anchor.fixed}
    given = {each.item_id: each for each in settings.start or () if abs(each.a) >= MIN_SLOPE}
    slope, intercept = _unit(settings, fixed)
    known = np.full((responses.n_items, 3), np.nan)
    for j, item in enumerate(responses.item_ids):
        if item in given and item not in seeds:
            start = given[item]
            known[j] = start.a * slope, (start.b - intercept) / slope, start.c or np.nan
    return known


def _unit(settings: Settings, fixed: Mapping[str, Anchor]) -> tuple[float, float]:
    """The line from the scale on which the anchors are held to that of the settings."""
    for anchor in settings.anchors:
        if anchor.item_id in fixed:
            held = fixed[anchor.item_id]
            slope = held.a / anchor.a
            return slope, anchor.b - slope * held.b
    return 1.0, 0.0


def near_start(
    populations: Sequence[Population], model: Model, quadrature: Quadrature, known: np.ndarray
) -> np.ndarray | None:
    """Starting values (J + G, 3) on the scale of the estimation; None if they are not close to the maximum.

    :param populations: the answers by population, the reference first.
    :param known: as `known_parameters` gives them.
    """
    usable = ~np.isnan(known[:, 0]) & model.free[: model.n_items, 1]
    prior = model.priors.a
    if prior is not None and prior.dist == "lognormal":
        usable &= known[:, 0] > 0.0
    # Slopes that are negative for the most part belong to the mirror image of the scale.
    if not usable.any() or np.median(known[usable, 0]) <= 0.0:
        return None
    usable &= _is_moderate(known, *_guess(model, known, usable))
    persons = sum(part.persons.size for part in populations)
    stride = max(1, persons // (_SAMPLE_PERSONS * len(populations)))
    thin = quadrature.thinned()
    latents = _latents(populations, model, thin, stride, known, usable)
    objective = Objective(populations, model, thin, np.float32, stride)
    now = objective(_on_scale_of(model, known, usable, latents))
    usable &= ~_better_without(objective, now)
    if 2 * usable.sum() < model.free[: model.n_items, 1].sum():
        return None
    now = objective(_on_scale_of(model, known, usable, latents))
    without = objective(model.tied(model.start.copy()))
    return now.x if _is_close(model, now, usable) and now.value > without.value else None


def _latents(
    populations: Sequence[Population], model: Model, quadrature: Quadrature, stride: int, known: np.ndarray,
    usable: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Mean and log SD (G, 2) of the populations on the scale of `known`; only `usable` and fixed items count."""
    n = model.n_items
    x = model.start.copy()
    free = np.zeros_like(model.free)
    free[n:, [LATENT_MEAN, LOG_LATENT_SD]] = True
    held = ~model.free[:n, 1]
    # A slope of 0 tells nothing of the abilities.
    x[:n][~held] = 0.0
    x[:n][usable] = _rows(known[usable])
    x[n:, LATENT_MEAN], x[n:, LOG_LATENT_SD] = _guess(model, known, usable)
    objective = Objective(populations, replace(model, free=free, start=x), quadrature, np.float32, stride)
    found: np.ndarray = _climbed(objective, x)[n:, [LATENT_MEAN, LOG_LATENT_SD]]
    return found


def _guess(model: Model, known: np.ndarray, usable: np.ndarray) -> tuple[float, float]:
    """A first mean and log SD: the medians of what leads from the starting values without `known` to these."""
    rows = model.start[: model.n_items][usable]
    sd = np.median(np.abs(rows[:, 0])) / np.median(np.abs(known[usable, 0]))
    mean = np.median(known[usable, 1] + sd * rows[:, 1] / rows[:, 0])
    return float(mean), float(np.log(sd))


def _is_moderate(known: np.ndarray, mean: float, log_sd: float) -> np.ndarray:
    """Items (J,) bool within the limits, if abilities have this mean and this logarithm of the SD."""
    sd = np.exp(log_sd)
    slope, intercept = known[:, 0] * sd, known[:, 0] * (known[:, 1] - mean)
    moderate: np.ndarray = (np.abs(slope) <= _STEEPEST) & (np.abs(intercept) <= _FARTHEST)
    return moderate


def _climbed(objective: Objective, x: np.ndarray) -> np.ndarray:
    """Maximise `objective` by means and SDs, from `x`, roughly."""
    model, curvature = objective.model, Curvature()
    now = objective(x)
    for _ in range(_ITERATIONS):
        em_step = EmStep(model, now)
        step = curvature.direction(now.gradient, em_step)
        length = _length(model, now, step)
        if length < _ENOUGH:
            break
        then = objective(now.x + step / max(1.0, length / _LONGEST))
        if not then.value >= now.value:
            curvature.forget()
            step = em_step(now.gradient)
            then = objective(now.x + step / max(1.0, _length(model, now, step) / _LONGEST))
            if not then.value >= now.value:
                break
        curvature.learn(now, then)
        now = then
    return now.x


def _length(model: Model, now: Evaluation, step: np.ndarray) -> float:
    """The longest change of a mean, in SDs, or of a log SD."""
    own, n = step[model.n_items :], model.n_items
    means = own[:, LATENT_MEAN] / np.exp(now.x[n:, LOG_LATENT_SD])
    return float(max(np.abs(means).max(), np.abs(own[:, LOG_LATENT_SD]).max()))


def _on_scale_of(model: Model, known: np.ndarray, usable: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Starting values (J + G, 3): the model's own, and those of `usable` items and populations on its scale."""
    n = model.n_items
    x: np.ndarray = model.start.copy()
    mean, sd = _origin(model, known, usable, latents)
    a, b = known[:, 0] * sd, (known[:, 1] - mean) / sd
    common = model.common & usable
    if common.any():
        x[n, COMMON_SLOPE] = np.median(a[common])
    chosen = usable & model.free[:n, 0]
    x[:n, 0][chosen] = a[chosen]
    model.tied(x)
    x[:n, 1][usable] = -x[:n, 0][usable] * b[usable]
    guessing = usable & model.free[:n, 2] & ~np.isnan(known[:, 2])
    x[:n, 2][guessing] = _rows(known[guessing])[:, 2]
    free = model.free[n:]
    x[n:, LATENT_MEAN] = np.where(free[:, LATENT_MEAN], (latents[:, 0] - mean) / sd, x[n:, LATENT_MEAN])
    x[n:, LOG_LATENT_SD] = np.where(free[:, LOG_LATENT_SD], latents[:, 1] - np.log(sd), x[n:, LOG_LATENT_SD])
    return x


def _origin(model: Model, known: np.ndarray, usable: np.ndarray, latents: np.ndarray) -> tuple[float, float]:
    """Where 0 and 1 of the estimation's scale are on that of `known`: the mean, and the distance from it."""
    n = model.n_items
    if model.free[n, LATENT_MEAN]:
        return 0.0, 1.0
    mean, sd = float(latents[0, 0]), float(np.exp(latents[0, 1]))
    if model.free[n, LOG_LATENT_SD]:
        # Rasch items, whose slope is 1, set the unit.
        rasch = usable & ~model.free[:n, 0] & ~model.common
        sd = 1.0 / float(np.median(known[rasch, 0])) if rasch.any() else 1.0
    return mean, sd


def _rows(known: np.ndarray) -> np.ndarray:
    """Slope, intercept and logit of guessing (J, 3), 0 where it is not known."""
    a, b, c = known.T
    c = np.clip(np.where(np.isnan(c), 0.5, c), 1e-4, 1.0 - 1e-4)
    return np.column_stack([a, -a * b, np.log(c / (1.0 - c))])


def _better_without(objective: Objective, now: Evaluation) -> np.ndarray:
    """Items (J,) bool that the model's own starting values suit better than those in `now`."""
    model, n = objective.model, objective.model.n_items
    own = now.x.copy()
    own[:n] = model.start[:n]
    own[:n, 0][model.common] = now.x[n, COMMON_SLOPE]
    gain = expected_log_posterior(objective, now, own) - expected_log_posterior(objective, now, now.x)
    better: np.ndarray = gain > _MARGIN
    return better


def _is_close(model: Model, now: Evaluation, usable: np.ndarray) -> bool:
    """Whether most free parameters of the `usable` items are about where the sample's answers would put them."""
    n = model.n_items
    errors = 1.0 / np.sqrt(np.maximum(now.information[:, [0, 2, 5]], 1e-300))
    distance = np.abs(now.gradient[:n] * errors)[model.free[:n] & usable[:, None]]
    median, share = float(np.median(distance)), float((distance > _FAR).mean())
    log.debug("start: median distance %.2f SE, %.1f %% beyond %g SE", median, 100.0 * share, _FAR)
    return median < _NEAR and share <= _FEW
