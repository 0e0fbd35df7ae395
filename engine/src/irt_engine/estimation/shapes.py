"""Latent distributions that are not normal; their estimation starts from a normal fit.

The degree of the Davidian curves, the same for all populations, minimises the Hannan-Quinn criterion, -2 logL + 2 p
log(log N), over degrees up to `MAX_DEGREE`; 0 is the normal distribution. Their likelihood has several local maxima, so
each degree starts from the maximum of the degree before, and from the curves closest to a histogram of the abilities.

A histogram is the nonparametric estimate on the nodes, standardised (Woods 2007). Weights and items are estimated
alternately until the log-likelihood hardly rises. Standard errors treat the histogram as known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from irt_engine.estimation.em import Fit
from irt_engine.estimation.objective import Objective
from irt_engine.model.parameters import Model, rows_of_angles
from irt_engine.model.shape import MAX_DEGREE, Davidian, Histogram, Shaped, hermite

log = logging.getLogger(__name__)

# Estimates a model from starting values near the maximum, with a tolerance.
Estimate = Callable[[Model, np.ndarray, float], Fit]

# Tolerance for comparing shapes; the chosen one is then estimated with the caller's.
_ROUGH = 1e-3

# The search ends after this many degrees without an improvement.
_PATIENCE = 2
# Numbers of curves that are drawn at random, refined, and used as starting values.
_CANDIDATES, _REFINED, _STARTS = 400, 40, 2
# Two curves are distinct if their expected log-densities per person differ by more than this.
_DISTINCT = 1e-4
# Maximum number of alternations between histogram and items, and the rise of the log-likelihood that ends them.
_TURNS, _LEAST_RISE = 100, 0.01
# Least weight of a node, so that its logarithm exists.
_LEAST_SHARE = 1e-10


@dataclass(frozen=True)
class ShapedFit:
    """A fit with the shape of its latent distributions.

    :ivar criteria: the Hannan-Quinn criterion by degree; empty for a histogram.
    :ivar settled: whether a histogram converged within its turns.
    """

    model: Model
    fit: Fit
    criteria: dict[int, float]
    settled: bool = True


def davidian(model: Model, fit: Fit, estimate: Estimate, tolerance: float) -> ShapedFit:
    """The Davidian curves with the best degree.

    :param model: with normal distributions, and its `fit`.
    :param tolerance: of the estimates.
    """
    best = here = ShapedFit(model, fit, {})
    n_persons = fit.evaluation.n_persons
    criteria = {0: _hannan_quinn(model, fit, n_persons)}
    free = histogram(model, fit, estimate, _ROUGH)
    nodes = fit.objective.quadrature.nodes[: fit.objective.quadrature.points]
    targets = [Shaped.on(shape, fit.objective.quadrature) for shape in free.model.histograms]
    for degree in range(1, MAX_DEGREE + 1):
        before = _angles(here.model, here.fit.evaluation.x, degree)
        closest = [_closest(target, nodes, degree, known) for target, known in zip(targets, before, strict=True)]
        starts = [(here.fit, before), *((free.fit, list(each)) for each in zip(*closest, strict=True))]
        fits = [each for near, start in starts if (each := _fitted(model, near, degree, start, estimate))]
        if not fits:
            break
        here = max(fits, key=lambda each: each.fit.evaluation.value)
        criteria[degree] = _hannan_quinn(here.model, here.fit, n_persons)
        log.info("Davidian curve of degree %d: Hannan-Quinn criterion %.3f", degree, criteria[degree])
        if criteria[degree] < min(value for other, value in criteria.items() if other != degree):
            best = here
        elif degree - best.model.degree >= _PATIENCE:
            break
    if best.model.degree == 0:
        return ShapedFit(model, fit, criteria)
    return ShapedFit(best.model, estimate(best.model, best.fit.evaluation.x, tolerance), criteria)


def histogram(model: Model, fit: Fit, estimate: Estimate, tolerance: float) -> ShapedFit:
    """Histograms of the abilities; arguments as `davidian`."""
    quadrature = fit.objective.quadrature
    nodes = quadrature.nodes[: quadrature.points]
    shaped = replace(model, histograms=tuple(Histogram(nodes, np.zeros(nodes.size)) for _ in fit.objective.populations))
    settled = False
    for _ in range(_TURNS):
        before = fit.evaluation.loglik
        shaped = _updated(shaped, fit.objective, fit.evaluation.x)
        fit = estimate(shaped, fit.evaluation.x, _ROUGH)
        if fit.evaluation.loglik - before < _LEAST_RISE:
            settled = True
            break
    return ShapedFit(shaped, estimate(shaped, fit.evaluation.x, tolerance), {}, settled)


def _hannan_quinn(model: Model, fit: Fit, n_persons: int) -> float:
    return float(-2.0 * fit.evaluation.loglik + 2.0 * model.n_parameters * np.log(np.log(n_persons)))


def _fitted(model: Model, near: Fit, degree: int, angles: list[np.ndarray], estimate: Estimate) -> ShapedFit | None:
    """None if items diverge."""
    shaped, start = with_angles(model, near.evaluation.x, angles)
    fit = estimate(shaped, start, _ROUGH)
    return None if fit.lost.any() else ShapedFit(shaped, fit, {})


def with_angles(model: Model, x: np.ndarray, angles: list[np.ndarray]) -> tuple[Model, np.ndarray]:
    """The model with Davidian curves, and `x` with these angles, (k,) for each population."""
    degree, n = angles[0].size, model.n_items + model.n_populations
    rows = rows_of_angles(degree)
    values, free = np.zeros((len(angles), 3 * rows)), np.zeros((len(angles), 3 * rows), bool)
    values[:, :degree], free[:, :degree] = np.array(angles), True
    start = np.vstack([x[:n], values.reshape(-1, 3)])
    all_free = np.vstack([model.free[:n], free.reshape(-1, 3)])
    own_start = np.vstack([model.start[:n], values.reshape(-1, 3)])
    return replace(model, free=all_free, start=own_start, degree=degree), start


def _angles(model: Model, x: np.ndarray, degree: int) -> list[np.ndarray]:
    """The populations' angles, padded with zeros to a higher degree."""
    padded = []
    for g in range(model.n_populations):
        shape = model.shape(x, g)
        known = np.empty(0) if shape is None else shape.angles
        padded.append(np.concatenate([known, np.zeros(degree - known.size)]))
    return padded


def _updated(model: Model, objective: Objective, x: np.ndarray) -> Model:
    """The model with the histograms of its expected persons."""
    quadrature = objective.quadrature
    n = quadrature.points
    own = Objective(objective.populations, model, quadrature, resolves=True)
    shapes = []
    for part in own(x).expected:
        counts = quadrature.gathered(part.persons[None, :], part.z)[0, :n]
        share = np.maximum(counts / counts.sum(), _LEAST_SHARE)
        shapes.append(Histogram(quadrature.nodes[:n], np.log(share) - quadrature.log_weights[:n]))
    return replace(model, histograms=tuple(shapes))


def _closest(target: Shaped, grid: np.ndarray, degree: int, known: np.ndarray) -> list[np.ndarray]:
    """The angles, (k,) each, of the `_STARTS` curves with the highest expected log-density under a histogram.

    :param target: the histogram, with its nodes `grid` (n,). Curves and histogram are compared standardised.
    """
    weights, nodes = np.exp(target.log_weights[: grid.size]), (grid - target.m) / target.s
    basis, normal = hermite(grid, degree), np.exp(-0.5 * grid**2)

    def density(angles: np.ndarray) -> float:
        curve = Davidian(angles)
        own = (curve.coefficients @ basis) ** 2 * normal
        own /= own.sum()
        m = float((own * grid).sum())
        s = float(np.sqrt((own * (grid - m) ** 2).sum()))
        z = m + s * nodes
        return float((weights * (curve.log_factor(z) - 0.5 * z**2 + np.log(s))).sum())

    rng = np.random.default_rng(degree)
    drawn = [known, *rng.uniform(-0.5 * np.pi, 0.5 * np.pi, (_CANDIDATES, degree))]
    best = sorted(drawn, key=density, reverse=True)[:_REFINED]
    refined = sorted((_climbed(density, start) for start in best), key=density, reverse=True)
    chosen = [refined[0]]
    for each in refined[1:]:
        if len(chosen) < _STARTS and all(density(other) - density(each) > _DISTINCT for other in chosen):
            chosen.append(each)
    return chosen + [chosen[0]] * (_STARTS - len(chosen))


def _climbed(value: Callable[[np.ndarray], float], start: np.ndarray) -> np.ndarray:
    """Pattern search along the axes."""
    here: np.ndarray = start.copy()
    now, step = value(start), 0.2
    while step > 0.005:
        better = False
        for k in range(here.size):
            for sign in (-step, step):
                there = here.copy()
                there[k] += sign
                then = value(there)
                if then > now:
                    here, now, better = there, then, True
        step = step if better else 0.5 * step
    return here
