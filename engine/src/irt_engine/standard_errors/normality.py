"""A score test of skewness and kurtosis: whether abilities are normal.

The family phi(z) (1 + g3 h3(z) + g4 h4(z)), where h3 and h4 are the orthonormal Hermite polynomials, contains the
normal density at g3 = g4 = 0. Its skewness is sqrt(6) g3 and its excess kurtosis sqrt(24) g4. The score test (Rao 1948)
compares the derivatives by g3 and g4 at 0 with their variance, given that all other parameters are estimated:
chi-square with two degrees of freedom. The reported skewness and kurtosis are one Newton step from 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from irt_engine.estimation.objective import Evaluation, Objective
from irt_engine.model.parameters import COMMON_SLOPE
from irt_engine.model.shape import Histogram, hermite
from irt_engine.standard_errors.covariance import Covariance

_STEP = 1e-3
# Least information in any direction, as a share of the largest.
_LEAST = 1e-6
_OF_SKEWNESS, _OF_KURTOSIS = math.sqrt(6.0), math.sqrt(24.0)


@dataclass(frozen=True)
class Normality:
    """The test for one population; `p` is that of chi-square with two degrees of freedom."""

    chi_square: float
    p: float
    skewness: float
    kurtosis: float


def normality(objective: Objective, evaluation: Evaluation, covariance: Covariance) -> list[Normality | None]:
    """The test for each population of a fit with normal distributions; None where the answers do not determine it."""
    return [_test(objective, evaluation, covariance, g) for g in range(objective.model.n_populations)]


def _test(objective: Objective, evaluation: Evaluation, covariance: Covariance, g: int) -> Normality | None:
    derivatives = _Derivatives(objective, evaluation.x, g)
    score, _ = derivatives.at(np.zeros(2))
    beside, below = np.zeros((covariance.undetermined.size, 2)), np.zeros((2, 2))
    column = derivatives.column(covariance.column)
    known = column >= 0
    for k in range(2):
        step = _STEP * np.eye(2)[k]
        (score_up, up), (score_down, down) = derivatives.at(step), derivatives.at(-step)
        below[:, k] = (score_down - score_up) / (2.0 * _STEP)
        np.add.at(beside[:, k], column[known], ((down - up) / (2.0 * _STEP))[known])
    information = 0.5 * (below + below.T) - beside.T @ covariance.times(beside)
    values, vectors = np.linalg.eigh(information)
    # A few items with few answers: once the items are estimated, the answers tell nothing of the shape.
    if not values.min() > _LEAST * max(values.max(), 1e-300):
        return None
    turned = vectors.T @ score
    estimates = vectors @ (turned / values)
    chi_square = float((turned**2 / values).sum())
    return Normality(
        chi_square, math.exp(-0.5 * chi_square), _OF_SKEWNESS * float(estimates[0]), _OF_KURTOSIS * float(estimates[1])
    )


class _Derivatives:
    """Derivatives of the log-likelihood of a single population, for any g3 and g4."""

    def __init__(self, objective: Objective, x: np.ndarray, g: int) -> None:
        model, n = objective.model, objective.model.n_items
        self._row, self._n = n + g, n
        self._x = np.vstack([x[:n], x[n + g]])
        self._x[n, COMMON_SLOPE] = x[n, COMMON_SLOPE]
        free = np.vstack([model.free[:n], model.free[n + g]])
        free[n, COMMON_SLOPE] = model.free[n, COMMON_SLOPE]
        self._model = replace(model, free=free, start=self._x, n_populations=1)
        self._population, self._quadrature = objective.populations[g], objective.quadrature
        self._nodes = self._quadrature.nodes[: self._quadrature.points]
        self._basis = hermite(self._nodes, 4)[3:]

    def column(self, column: np.ndarray) -> np.ndarray:
        """Columns (J + 1, 3) of this population's parameters in the covariance of all."""
        own = np.vstack([column[: self._n], column[self._row]])
        own[self._n, COMMON_SLOPE] = column[self._n, COMMON_SLOPE]
        return own

    def at(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives by g3 and g4, (2,), and by the others, (J + 1, 3), at these values of g3 and g4."""
        factor = 1.0 + values @ self._basis
        shape = Histogram(self._nodes, np.log(factor))
        model = replace(self._model, histograms=(shape,))
        evaluation = Objective([self._population], model, self._quadrature, resolves=True)(self._x)
        part = evaluation.expected[0]
        z = np.clip(part.z, self._nodes[0], self._nodes[-1])
        at_nodes = hermite(z, 4)[3:] / (1.0 + values @ hermite(z, 4)[3:])
        weights = np.exp(part.shaped.log_weights)[: self._nodes.size] if part.shaped else np.empty(0)
        mean = (self._basis / factor) @ weights
        return (at_nodes - mean[:, None]) @ part.persons, evaluation.gradient
