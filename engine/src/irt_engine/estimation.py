"""Marginal maximum likelihood by EM (Bock & Aitkin, 1981), accelerated by SQUAREM (Varadhan & Roland, 2008).

Items are held as slope a and intercept d: P = 1 / (1 + exp(-(a·θ + d))), so b = -d / a. The latent distribution is
standard normal. Rasch (slope 1, variance free) is fitted as 1PL (common slope, variance 1): the two are one model, with
slope² the variance and the same intercepts, and the grid then widens with the latent distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from irt_engine.kernels import expect
from irt_engine.quadrature import normal_grid
from irt_engine.responses import Responses
from irt_engine.settings import Settings

Progress = Callable[[int, float, float], None]
_NEWTON_STEPS = 25
_LONGEST_STEP = 1.0
# The gradient of the log-likelihood by any parameter; against an information of hundreds this is far below 1e-5.
_GRADIENT = 1e-3


@dataclass(frozen=True)
class Fit:
    """A fitted bank: slopes and intercepts (I,), and how the estimation went."""

    slope: np.ndarray
    intercept: np.ndarray
    loglik: float
    iterations: int
    converged: bool
    max_change: float
    max_gradient: float


@dataclass(frozen=True)
class Tables:
    """What follows from the parameters at the nodes: P(correct) (I, Q) and its logarithms (2, I, Q)."""

    prob: np.ndarray
    logp: np.ndarray

    @classmethod
    def of(cls, slope: np.ndarray, intercept: np.ndarray, nodes: np.ndarray) -> Tables:
        z = slope[:, None] * nodes + intercept[:, None]
        log_right = -np.logaddexp(0.0, -z)
        logp = np.stack([log_right - z, log_right])
        return cls(np.exp(log_right), np.ascontiguousarray(logp))


class Estimator:
    """One calibration in progress."""

    def __init__(self, responses: Responses, settings: Settings) -> None:
        self.responses = responses
        self.settings = settings
        self.nodes, weights = normal_grid(settings.quadrature_points, settings.theta_min, settings.theta_max)
        self.logw = np.log(weights)
        self.common_slope = settings.model in {"Rasch", "1PL"}

    def start(self) -> np.ndarray:
        """Starting values (2, I): slope 1 and the logit of the proportion correct; those of anchors and seeds."""
        items = len(self.responses.item_ids)
        answered = np.bincount(self.responses.item, minlength=items)
        right = np.bincount(self.responses.item, weights=self.responses.correct, minlength=items)
        slope = np.ones(items)
        intercept = 1.2 * np.log((right + 0.5) / (answered - right + 0.5))
        known = {a.item_id: a for a in self.settings.anchors}
        for j, item in enumerate(self.responses.item_ids):
            seed = known.get(item)
            if seed and not seed.fixed and not self.common_slope:
                slope[j], intercept[j] = seed.a, -seed.a * seed.b
        return np.stack([slope, intercept])

    def step(self, theta: np.ndarray) -> tuple[np.ndarray, float, float]:
        """One EM step: the new parameters, and log-likelihood and largest gradient at the old ones."""
        tables = Tables.of(theta[0], theta[1], self.nodes)
        r = self.responses
        answered, right, loglik = expect(r.start, r.item, r.correct, tables.logp, self.logw)
        residual = right - answered * tables.prob
        by_slope, by_intercept = residual @ self.nodes, residual.sum(axis=1)
        # With a common slope only the sum of its derivatives must vanish.
        slopes = [by_slope.sum()] if self.common_slope else by_slope
        gradient = max(np.abs(slopes).max(), np.abs(by_intercept).max())
        maximise = _maximise_common if self.common_slope else _maximise
        return maximise(theta, answered, right, self.nodes), loglik, float(gradient)

    def run(self, progress: Progress | None = None) -> Fit:
        theta = self.start()
        steps = 0
        while True:
            first, loglik, gradient = self.step(theta)
            change = float(np.abs(first - theta).max())
            steps += 1
            if progress:
                progress(steps, loglik, change)
            converged = change < self.settings.tolerance and gradient < _GRADIENT
            if converged or steps >= self.settings.max_iterations:
                return Fit(theta[0], theta[1], loglik, steps, converged, change, gradient)
            second, loglik_first, _ = self.step(first)
            steps += 1
            theta = self._extrapolate(theta, first, second, loglik_first)
            steps += theta is not second

    def _extrapolate(self, old: np.ndarray, first: np.ndarray, second: np.ndarray, floor: float) -> np.ndarray:
        """SQUAREM's step, or `second` where that would lower the log-likelihood."""
        r, v = first - old, second - 2 * first + old
        norm = np.linalg.norm(v)
        if norm == 0:
            return second
        alpha = -np.linalg.norm(r) / norm
        if alpha > -1:
            return second
        leap = old - 2 * alpha * r + alpha**2 * v
        settled, loglik, _ = self.step(leap)
        return settled if np.isfinite(loglik) and loglik >= floor else second


def _newton_pieces(
    slope: np.ndarray, intercept: np.ndarray, answered: np.ndarray, right: np.ndarray, nodes: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Gradient (2) and negative Hessian (3) of each item's expected log-likelihood, by slope and intercept."""
    prob = 1 / (1 + np.exp(-(slope[:, None] * nodes + intercept[:, None])))
    residual, weight = right - answered * prob, answered * prob * (1 - prob)
    return residual @ nodes, residual.sum(axis=1), weight @ nodes**2, weight @ nodes, weight.sum(axis=1)


def _maximise(theta: np.ndarray, answered: np.ndarray, right: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """M-step of the 2PL: Newton's method for all items at once."""
    slope, intercept = theta.copy()
    for _ in range(_NEWTON_STEPS):
        ga, gd, haa, had, hdd = _newton_pieces(slope, intercept, answered, right, nodes)
        det = haa * hdd - had**2
        da, dd = (hdd * ga - had * gd) / det, (haa * gd - had * ga) / det
        slope, intercept = slope + _short(da), intercept + _short(dd)
        if max(np.abs(da).max(), np.abs(dd).max()) < 1e-9:
            break
    return np.stack([slope, intercept])


def _maximise_common(theta: np.ndarray, answered: np.ndarray, right: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """M-step with a common slope: the bordered system is solved by its Schur complement."""
    slope, intercept = theta.copy()
    for _ in range(_NEWTON_STEPS):
        ga, gd, haa, had, hdd = _newton_pieces(slope, intercept, answered, right, nodes)
        da = (ga.sum() - (had * gd / hdd).sum()) / (haa.sum() - (had**2 / hdd).sum())
        dd = (gd - had * da) / hdd
        slope, intercept = slope + _short(da), intercept + _short(dd)
        if max(abs(da), np.abs(dd).max()) < 1e-9:
            break
    return np.stack([slope, intercept])


def _short(step: np.ndarray) -> np.ndarray:
    return np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
