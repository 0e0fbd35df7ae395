"""Fit statistics of single items.

infit, outfit: weighted and unweighted mean squares of the residuals at the EAP estimates (Wright & Masters 1982),
outfit = mean(r^2 / W), infit = sum(r^2) / sum(W), with r = y - P and W = P (1 - P).

RMSD, MD: root mean squared and mean difference between the observed and the model's response function, weighted by the
latent distribution (OECD 2017, PISA 2015 Technical Report, chapter 9). The observed function comes from the E-step:
expected right answers over expected answers at each node. With several populations, each has its own observed function
and distribution, and its weight is its share of the item's answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irt_engine.answers.populations import Population
from irt_engine.answers.responses import Responses
from irt_engine.cluster import connection, steps
from irt_engine.estimation.em import Fit
from irt_engine.estimation.objective import Evaluation, ExpectedCounts
from irt_engine.estimation.posteriors import group_starts
from irt_engine.kernels import persons
from irt_engine.kernels.threads import run
from irt_engine.model.parameters import Model
from irt_engine.model.quadrature import Quadrature

_GROUPS = 16
# Nodes with less of an item's answers are skipped.
_NOBODY = 1e-12


@dataclass(frozen=True)
class ItemFit:
    """Fit statistics of J items, (J,) each."""

    infit: np.ndarray
    outfit: np.ndarray
    rmsd: np.ndarray
    md: np.ndarray


def item_fit(
    responses: Responses, populations: Sequence[Population], model: Model, evaluation: Evaluation,
    quadrature: Quadrature, theta: np.ndarray,
) -> ItemFit:  # fmt: skip
    """Fit of the items at the estimates of `evaluation`, and the abilities `theta` (N,).

    :param populations: the answers of `responses` by population.
    """
    starts = group_starts(responses.offsets, _GROUPS)
    sums = np.empty((_GROUPS, model.n_items, 3))
    slope, intercept, guessing = model.items(evaluation.x)
    if cluster := connection.current():
        held = cluster.hold(responses.offsets, responses.codes, starts)
        own = [(theta[first:end],) for first, end in itertools.pairwise(starts)]
        sums[:] = held.map(steps.residuals, (slope, intercept, guessing), own)
    else:
        run(
            persons.residuals, responses.offsets, responses.codes, starts, slope, intercept, guessing, theta, sums,
            work=20.0 * len(responses), parts=_GROUPS,
        )  # fmt: skip
    standardised, squares, variances = sums.sum(axis=0).T
    answers, _ = responses.item_counts()
    return ItemFit(
        squares / variances, standardised / answers, *_curve_gaps(populations, model, evaluation, quadrature)
    )


def curve_gaps(fit: Fit, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """RMSD and MD of the items, (J,) each."""
    return _curve_gaps(fit.objective.populations, model, fit.evaluation, fit.objective.quadrature)


def _curve_gaps(
    populations: Sequence[Population], model: Model, evaluation: Evaluation, quadrature: Quadrature
) -> tuple[np.ndarray, np.ndarray]:
    slope, intercept, guessing = model.items(evaluation.x)
    shares = _shares(populations, model.n_items)
    md, mean_square = np.zeros(model.n_items), np.zeros(model.n_items)
    for g, part in enumerate(evaluation.expected):
        curves = tuple(values[part.items] for values in (slope, intercept, guessing))
        gap, square = _gaps(part, quadrature, model.latent(evaluation.x, g), curves)
        md[part.items] += shares[g] * gap
        mean_square[part.items] += shares[g] * square
    return np.sqrt(mean_square), md


def _shares(populations: Sequence[Population], n_items: int) -> list[np.ndarray]:
    """Each population's share of each item's answers, (J_g,) each."""
    if len(populations) == 1:
        return [np.ones(n_items)]
    counts = [population.answers_by_item() for population in populations]
    total = np.zeros(n_items)
    for population, count in zip(populations, counts, strict=True):
        total[population.items] += count
    return [count / total[population.items] for population, count in zip(populations, counts, strict=True)]


def _gaps(
    part: ExpectedCounts, quadrature: Quadrature, latent: tuple[float, float], curves: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of observed minus expected, for each of a population's items, (J_g,) each."""
    mean, sd = latent
    node_weights = quadrature.weights
    if part.shaped is not None:
        (mean, sd), node_weights = part.shaped.placed(mean, sd), np.exp(part.shaped.log_weights)
    slope, intercept, guessing = curves
    nodes = mean + sd * quadrature.nodes
    counts = quadrature.gathered(part.counts, part.z)
    wrong, right = counts[0::2], counts[1::2]
    answered = wrong + right
    known = answered > _NOBODY
    expected = guessing[:, None] + (1.0 - guessing[:, None]) / (
        1.0 + np.exp(-(slope[:, None] * nodes + intercept[:, None]))
    )
    gap = np.where(known, right / np.where(known, answered, 1.0) - expected, 0.0)
    weights = np.where(known, node_weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights * gap).sum(axis=1), (weights * gap**2).sum(axis=1)
