"""Directions of ascent: the EM step, accelerated by what earlier steps showed of the curvature.

The EM step for all items at once is one Newton step of the M-step (the EM gradient algorithm, Lange 1995a), with the
complete-data information as its matrix. On it builds limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.4), as
Lange (1995b, "A quasi-Newton acceleration of the EM algorithm", Statistica Sinica 5) does with the full matrix.

Where the latent distribution is fixed, EM is slow to move all items together: their common shift and stretch are held
by the latent distribution alone, of which the complete data know all. Parameter expansion (Liu, Rubin & Wu 1998) frees
mean and SD within each step; here it adds its two directions to the matrix.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from irt_engine.estimation.objective import Evaluation
from irt_engine.kernels import items
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model, latent

_MEMORY = 10
_LEAST_INFORMATION = 1e-12


class EmStep:
    """The symmetric positive definite matrix that turns a gradient at `evaluation` into an EM step."""

    def __init__(self, model: Model, evaluation: Evaluation) -> None:
        self._model = model
        self._information = evaluation.information
        self._n = float(evaluation.n_persons)
        self._mean, self._sd = latent(evaluation.x)
        self._x = evaluation.x

    def __call__(self, gradient: np.ndarray) -> np.ndarray:
        """The step (J + 1, 3) for a gradient (J + 1, 3)."""
        model = self._model
        step = np.zeros_like(gradient)
        items.solve_items(self._information, model.free[:-1], gradient[:-1], step[:-1])
        if model.free[-1, COMMON_SLOPE]:
            self._solve_common_slope(gradient, step)
        if model.free[-1, LATENT_MEAN]:
            step[-1, LATENT_MEAN] = gradient[-1, LATENT_MEAN] * self._sd**2 / self._n
        if model.free[-1, LOG_LATENT_SD]:
            step[-1, LOG_LATENT_SD] = gradient[-1, LOG_LATENT_SD] / (2.0 * self._n)
        step += self.expansion(gradient)
        return step

    def _solve_common_slope(self, gradient: np.ndarray, step: np.ndarray) -> None:
        """Eliminate the intercepts of the 1PL items from the bordered system (Schur complement)."""
        common = self._model.common
        aa, ad, dd = self._information[common, :3].T
        by_d = gradient[:-1][common, 1]
        ratio = np.where(self._model.free[:-1][common, 1], ad / dd, 0.0)
        schur = max((aa - ratio * ad).sum(), _LEAST_INFORMATION)
        along = (gradient[-1, COMMON_SLOPE] - (ratio * by_d).sum()) / schur
        step[-1, COMMON_SLOPE] = along
        step[:-1, 1][common] -= ratio * along

    def expansion(self, gradient: np.ndarray) -> np.ndarray:
        """The part (J + 1, 3) of the step that moves all items together."""
        model, x = self._model, self._x
        step = np.zeros_like(gradient)
        if model.priors.on_scale:
            return step
        slope = x[:-1, 0]
        if model.moves_freely:
            step[:-1, 1] = slope * ((slope * gradient[:-1, 1]).sum() * self._sd**2 / self._n)
        if model.stretches_freely:
            by_stretch = (slope * gradient[:-1, 0]).sum() + x[-1, COMMON_SLOPE] * gradient[-1, COMMON_SLOPE]
            stretch = by_stretch / (2.0 * self._n)
            step[:-1, 0] = slope * stretch * model.free[:-1, 0]
            step[-1, COMMON_SLOPE] = x[-1, COMMON_SLOPE] * stretch * model.free[-1, COMMON_SLOPE]
        return step


class Curvature:
    """The last steps and the changes of the gradient along them."""

    def __init__(self) -> None:
        self._pairs: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=_MEMORY)

    def forget(self) -> None:
        self._pairs.clear()

    def learn(self, before: Evaluation, after: Evaluation) -> None:
        """Remember a step, if the objective curves downwards along it."""
        step = after.x - before.x
        change = before.gradient - after.gradient
        product = float((step * change).sum())
        if product > 1e-10 * float(np.sqrt((step**2).sum() * (change**2).sum())):
            self._pairs.append((step, change, product))

    def direction(self, gradient: np.ndarray, em_step: EmStep) -> np.ndarray:
        """Two-loop recursion with the EM step as the initial matrix."""
        q = gradient.copy()
        weights = []
        for step, change, product in reversed(self._pairs):
            weight = float((step * q).sum()) / product
            q -= weight * change
            weights.append(weight)
        direction = em_step(q)
        for (step, change, product), weight in zip(self._pairs, reversed(weights), strict=True):
            direction += (weight - float((change * direction).sum()) / product) * step
        return direction
