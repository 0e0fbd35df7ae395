"""Prior densities of item parameters.

Each applies to the parameter in its name, with its full density, constants included, and no Jacobian: the estimate
maximises log-likelihood + sum of log-densities, even where the numerics work in other parameters.

=============  ====================================================================================================
a normal       density of a
a lognormal    density of a, with its factor 1/a (mode of a alone: exp(mean - sd^2)); keeps a above 0
b normal       density of b = -d / a
c normal_logit normal density on logit c, the default of 3PL items: mean -1.39, sd 0.5
c beta         density of c (mode of c alone: (alpha - 1) / (alpha + beta - 2))
=============  ====================================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_LEAST_SLOPE = 1e-12
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Prior:
    """A density: `first`, `second` are mean and SD, or alpha and beta."""

    dist: str
    first: float
    second: float

    def to_contract(self) -> dict[str, float | str]:
        names = ("alpha", "beta") if self.dist == "beta" else ("mean", "sd")
        return {"dist": self.dist, names[0]: self.first, names[1]: self.second}


DEFAULT_GUESSING = Prior("normal_logit", -1.39, 0.5)


@dataclass(frozen=True)
class LogDensity:
    """Log-density of all items (J,), its gradient (J, 3) and Hessian (J, 6) by a, d and logit c.

    :ivar information: (J, 6), used by the estimation instead of minus the Hessian: only each prior's curvature
        along its own parameter (Gauss-Newton), so it is never negative; for a prior on b this couples a and d.
    """

    value: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    information: np.ndarray


@dataclass(frozen=True)
class Priors:
    """The priors of a calibration; each applies to the items for which that parameter is estimated."""

    a: Prior | None = None
    b: Prior | None = None
    c: Prior | None = DEFAULT_GUESSING

    @property
    def on_scale(self) -> bool:
        """Whether a shift or stretch of the ability scale changes the density."""
        return self.a is not None or self.b is not None

    def log_density(
        self, slope: np.ndarray, intercept: np.ndarray, logit_c: np.ndarray, free: np.ndarray
    ) -> LogDensity:
        """The log-density of items with `slope`, `intercept`, `logit_c` (J,), of their `free` (J, 3) parameters."""
        n = slope.size
        total = LogDensity(np.zeros(n), np.zeros((n, 3)), np.zeros((n, 6)), np.zeros((n, 6)))
        if self.a is not None:
            _add_slope(total, self.a, slope, free[:, 0])
        if self.b is not None:
            _add_difficulty(total, self.b, slope, intercept, free[:, 1])
        if self.c is not None:
            _add_guessing(total, self.c, logit_c, free[:, 2])
        return total


def _add_slope(total: LogDensity, prior: Prior, slope: np.ndarray, chosen: np.ndarray) -> None:
    mean, sd = prior.first, prior.second
    a = slope[chosen]
    if prior.dist == "normal":
        z = (a - mean) / sd
        value, first, second = -0.5 * z**2, -z / sd, np.full(a.size, -1.0 / sd**2)
    else:
        # A trial step may reach a slope of 0 or less, where the density is 0; it is then rejected.
        outside, a = a <= 0.0, np.maximum(a, _LEAST_SLOPE)
        z = (np.log(a) - mean) / sd
        value = np.where(outside, -np.inf, -0.5 * z**2 - np.log(a))
        first = -(1.0 + z / sd) / a
        second = (1.0 + z / sd - 1.0 / sd**2) / a**2
    total.value[chosen] += value - math.log(sd) - _LOG_SQRT_2PI
    total.gradient[chosen, 0] += first
    total.hessian[chosen, 0] += second
    total.information[chosen, 0] += np.maximum(-second, 0.0)


def _add_difficulty(
    total: LogDensity, prior: Prior, slope: np.ndarray, intercept: np.ndarray, chosen: np.ndarray
) -> None:
    # A trial step may reach a slope of 0, where there is no difficulty; it is then rejected.
    none, d = slope[chosen] == 0.0, intercept[chosen]
    a = np.where(none, _LEAST_SLOPE, slope[chosen])
    b = -d / a
    z = (b - prior.first) / prior.second
    by_b, twice = -z / prior.second, -1.0 / prior.second**2
    by_a, by_d = -b / a, -1.0 / a
    total.value[chosen] += np.where(none, -np.inf, -0.5 * z**2) - math.log(prior.second) - _LOG_SQRT_2PI
    total.gradient[chosen, 0] += by_b * by_a
    total.gradient[chosen, 1] += by_b * by_d
    total.hessian[chosen, 0] += twice * by_a**2 + by_b * 2.0 * b / a**2
    total.hessian[chosen, 1] += twice * by_a * by_d + by_b / a**2
    total.hessian[chosen, 2] += twice * by_d**2
    for entry, product in enumerate((by_a * by_a, by_a * by_d, by_d * by_d)):
        total.information[chosen, entry] -= twice * product


def _add_guessing(total: LogDensity, prior: Prior, logit_c: np.ndarray, chosen: np.ndarray) -> None:
    x = logit_c[chosen]
    if prior.dist == "normal_logit":
        z = (x - prior.first) / prior.second
        value = -0.5 * z**2 - math.log(prior.second) - _LOG_SQRT_2PI
        first, second = -z / prior.second, np.full(x.size, -1.0 / prior.second**2)
    else:
        alpha, beta = prior.first, prior.second
        c = 1.0 / (1.0 + np.exp(-x))
        log_beta = math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta)
        value = (alpha - 1.0) * np.log(c) + (beta - 1.0) * np.log1p(-c) - log_beta
        first = (alpha - 1.0) * (1.0 - c) - (beta - 1.0) * c
        second = -(alpha + beta - 2.0) * c * (1.0 - c)
    total.value[chosen] += value
    total.gradient[chosen, 2] += first
    total.hessian[chosen, 5] += second
    total.information[chosen, 5] += np.maximum(-second, 0.0)
