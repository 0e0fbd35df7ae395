"""Directions of ascent: the EM step, accelerated by what earlier steps showed of the curvature.

The EM step for all items at once is one Newton step of the M-step (the EM gradient algorithm, Lange 1995a), with the
complete-data information as its matrix. Limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.4) builds on it; Lange
(1995b, "A quasi-Newton acceleration of the EM algorithm", Statistica Sinica 5) does the same with the full matrix.

If the latent distribution is fixed, EM is slow to move all items together: only the latent distribution, which is known
exactly from the complete data, limits their common shift and stretch. Parameter expansion (Liu, Rubin & Wu 1998) frees
mean and SD within each step; here its two directions are added to the matrix.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from irt_engine.estimation.objective import Evaluation
from irt_engine.kernels import items
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model

_MEMORY = 10
_LEAST_INFORMATION = 1e-12


class EmStep:
    """The symmetric positive definite matrix that turns a gradient at `evaluation` into an EM step."""

    def __init__(self, model: Model, evaluation: Evaluation) -> None:
        self._model = model
        self._information = evaluation.information
        self._x = evaluation.x
        # (G,) each. If all abilities were known, a mean would have the variance SD^2 / n, a log SD 1 / (2 n).
        self._n_persons = np.array([float(part.n_persons) for part in evaluation.expected])
        self._populations = slice(model.n_items, model.n_items + model.n_populations)
        self._sd = np.exp(self._x[self._populations, LOG_LATENT_SD])
        self._expected = evaluation.expected

    def __call__(self, gradient: np.ndarray) -> np.ndarray:
        """The step (J + G, 3) for a gradient (J + G, 3)."""
        model, n = self._model, self._model.n_items
        step = np.zeros_like(gradient)
        items.solve_items(self._information, model.free[:n], gradient[:n], step[:n])
        if model.free[n, COMMON_SLOPE]:
            self._solve_common_slope(gradient, step)
        latent = self._populations
        step[latent, LATENT_MEAN] = gradient[latent, LATENT_MEAN] * self._sd**2 / self._n_persons
        step[latent, LOG_LATENT_SD] = gradient[latent, LOG_LATENT_SD] / (2.0 * self._n_persons)
        for g, part in enumerate(self._expected):
            if part.information is not None:
                self._solve_shape(g, part.information, gradient, step)
        step += self.expansion(gradient)
        return step

    def _solve_common_slope(self, gradient: np.ndarray, step: np.ndarray) -> None:
        """Eliminate the intercepts of the 1PL items from the bordered system (Schur complement)."""
        common, n = self._model.common, self._model.n_items
        aa, ad, dd = self._information[common, :3].T
        by_d = gradient[:n][common, 1]
        ratio = np.where(self._model.free[:n][common, 1], ad / dd, 0.0)
        schur = max((aa - ratio * ad).sum(), _LEAST_INFORMATION)
        along = (gradient[n, COMMON_SLOPE] - (ratio * by_d).sum()) / schur
        step[n, COMMON_SLOPE] = along
        step[:n, 1][common] -= ratio * along

    def _solve_shape(self, g: int, information: np.ndarray, gradient: np.ndarray, step: np.ndarray) -> None:
        """Mean, log SD and angles of a population together."""
        model = self._model
        row, angles = model.n_items + g, model.angle_rows(g)
        by = np.concatenate([gradient[row, 1:], gradient[angles].ravel()[: model.degree]])
        free = np.concatenate([model.free[row, 1:], model.free[angles].ravel()[: model.degree]])
        solved = np.zeros(by.size)
        solved[free] = np.linalg.solve(information[np.ix_(free, free)], by[free])
        step[row, 1:] = solved[:2]
        step[angles].reshape(-1)[: model.degree] = solved[2:]

    def expansion(self, gradient: np.ndarray) -> np.ndarray:
        """The part (J + G, 3) of the step that moves items and populations together, as if the reference moved."""
        model, x, n = self._model, self._x, self._model.n_items
        step = np.zeros_like(gradient)
        if model.priors.on_scale:
            return step
        slope, others = x[:n, 0], slice(n + 1, self._populations.stop)
        if model.moves_freely:
            by_shift = (slope * gradient[:n, 1]).sum() - gradient[others, LATENT_MEAN].sum()
            shift = by_shift * self._sd[0] ** 2 / self._n_persons[0]
            step[:n, 1] = slope * shift
            step[others, LATENT_MEAN] = -shift
        if model.stretches_freely:
            by_stretch = (slope * gradient[:n, 0]).sum() + x[n, COMMON_SLOPE] * gradient[n, COMMON_SLOPE]
            by_stretch -= (x[others, LATENT_MEAN] * gradient[others, LATENT_MEAN]).sum()
            by_stretch -= gradient[others, LOG_LATENT_SD].sum()
            stretch = by_stretch / (2.0 * self._n_persons[0])
            step[:n, 0] = slope * stretch * model.free[:n, 0]
            step[n, COMMON_SLOPE] = x[n, COMMON_SLOPE] * stretch * model.free[n, COMMON_SLOPE]
            step[others, LATENT_MEAN] -= x[others, LATENT_MEAN] * stretch * model.free[others, LATENT_MEAN]
            step[others, LOG_LATENT_SD] -= stretch
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
