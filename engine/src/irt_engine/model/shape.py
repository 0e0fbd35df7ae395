"""The shape of a latent distribution: normal, a Davidian curve, or a histogram.

A distribution is that of theta = location + scale * z, where z has the density P(z)^2 phi(z), for a Davidian curve of
degree k with the polynomial P = sum over j <= k of c_j h_j, h_j being the orthonormal Hermite polynomials and c a unit
vector (Gallant & Nychka 1987; Woods & Lin 2009). With angles eta (k,), c_j = sin(eta_j) times the product of
cos(eta_i) over i < j, and c_0 the product of all cosines: eta = 0 is the normal density. Location and scale follow from
mean and SD, which stay parameters whatever the shape: scale = SD / s, location = mean - scale * m, with m and s the
mean and SD of z. A histogram has a weight for each node instead, which is not a parameter (Woods 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.model.quadrature import Levels, Quadrature

MAX_DEGREE = 6
# Least P^2, so that its logarithm exists.
_LEAST = 1e-280


@dataclass(frozen=True)
class Davidian:
    """A Davidian curve with the `angles` (k,)."""

    angles: np.ndarray

    @property
    def coefficients(self) -> np.ndarray:
        """c (k + 1,)."""
        sines, cosines = np.sin(self.angles), np.cos(self.angles)
        before = np.concatenate([[1.0], np.cumprod(cosines)])
        return np.concatenate([[before[-1]], sines * before[:-1]])

    @property
    def jacobian(self) -> np.ndarray:
        """Derivatives (k + 1, k) of c by the angles."""
        k = self.angles.size
        sines, cosines = np.sin(self.angles), np.cos(self.angles)
        found = np.zeros((k + 1, k))
        for i in range(k):
            changed = cosines.copy()
            changed[i] = -sines[i]
            before = np.concatenate([[1.0], np.cumprod(changed)])
            found[0, i] = before[-1]
            for j in range(i, k):
                found[j + 1, i] = (cosines[j] if j == i else sines[j]) * np.prod(changed[:j] if j > i else cosines[:j])
        return found

    def polynomial(self, z: np.ndarray) -> np.ndarray:
        """P at the nodes z (Q,)."""
        values: np.ndarray = self.coefficients @ hermite(z, self.angles.size)
        return values

    def log_factor(self, z: np.ndarray) -> np.ndarray:
        """log P(z)^2."""
        factor: np.ndarray = np.log(np.maximum(self.polynomial(z) ** 2, _LEAST))
        return factor

    def by_angles(self, z: np.ndarray) -> np.ndarray:
        """Derivatives (k, Q) of `log_factor`."""
        by: np.ndarray = 2.0 * (self.jacobian.T @ hermite(z, self.angles.size)) / self._safe(z)
        return by

    def by_z(self, z: np.ndarray) -> np.ndarray:
        """Derivative (Q,) of `log_factor` by z: h_j' = sqrt(j) h_(j-1)."""
        k = self.angles.size
        lower = hermite(z, k)[:-1] * np.sqrt(np.arange(1, k + 1))[:, None]
        slope: np.ndarray = 2.0 * (self.coefficients[1:] @ lower) / self._safe(z)
        return slope

    def _safe(self, z: np.ndarray) -> np.ndarray:
        values = self.polynomial(z)
        return np.where(np.abs(values) < 1e-12, 1e-12, values)


@dataclass(frozen=True)
class Histogram:
    """Weights relative to the normal ones, as logarithms `ratio` (n,) at `nodes` (n,); linear between them."""

    nodes: np.ndarray
    ratio: np.ndarray

    @property
    def angles(self) -> np.ndarray:
        return np.empty(0)

    def log_factor(self, z: np.ndarray) -> np.ndarray:
        factor: np.ndarray = np.interp(z, self.nodes, self.ratio)
        return factor

    def by_angles(self, z: np.ndarray) -> np.ndarray:
        return np.empty((0, z.size))

    def by_z(self, z: np.ndarray) -> np.ndarray:
        """Slope of the line between the nodes beside z."""
        slopes = np.diff(self.ratio) / np.diff(self.nodes)
        found: np.ndarray = slopes[np.clip(np.searchsorted(self.nodes, z) - 1, 0, slopes.size - 1)]
        return found


Shape = Davidian | Histogram


@dataclass(frozen=True)
class Shaped:
    """A shape on a grid.

    :ivar log_weights: (Q,), normalised, and `by_weights` (k, Q), their derivatives by the angles.
    :ivar m: mean of z, `s` its SD, and `by_m` and `by_s` (k,) their derivatives.
    """

    shape: Shape
    log_weights: np.ndarray
    by_weights: np.ndarray
    m: float
    s: float
    by_m: np.ndarray
    by_s: np.ndarray

    @classmethod
    def on(cls, shape: Shape, quadrature: Quadrature) -> Shaped:
        n, z = quadrature.points, quadrature.nodes
        log_weights, by_weights = _normalised(shape, z, quadrature.log_weights, n)
        w = np.exp(log_weights)
        m = float((w * z).sum())
        s = float(np.sqrt((w * (z - m) ** 2).sum()))
        by_m = by_weights @ (w * z)
        by_s = (by_weights @ (w * (z - m) ** 2)) / (2.0 * s)
        return cls(shape, log_weights, by_weights, m, s, by_m, by_s)

    def at_levels(self, levels: Levels) -> tuple[np.ndarray, np.ndarray]:
        """Log-weights (Q,) at the nodes of all levels, each level normalised, and their derivatives (k, Q)."""
        found = []
        for first, end in zip(levels.starts[:-1], levels.starts[1:], strict=True):
            own = levels.log_weights[first:end]
            found.append(_normalised(self.shape, levels.nodes[first:end], own, int((own > -1e3).sum())))
        return np.concatenate([each[0] for each in found]), np.concatenate([each[1] for each in found], axis=1)

    def placed(self, mean: float, sd: float) -> tuple[float, float]:
        """Location and scale of the abilities with that mean and SD."""
        scale = sd / self.s
        return mean - scale * self.m, scale

    def scores(self, quadrature: Quadrature, sd: float) -> np.ndarray:
        """Derivatives (2 + k, Q) of the log-density at fixed abilities, by mean, log SD and the angles."""
        z, w = quadrature.nodes, np.exp(self.log_weights)
        with np.errstate(over="ignore", invalid="ignore"):
            slope = self.shape.by_z(z) - z
            by_z = np.concatenate(
                [
                    [np.full(z.size, -self.s / sd), self.m - z],
                    self.by_m[:, None] + np.outer(self.by_s / self.s, z - self.m),
                ]
            )
            found = slope * by_z
            found[1] -= 1.0
            found[2:] += self.by_weights + (self.by_s / self.s)[:, None]
        found[:, w < 1e-12] = 0.0
        scores: np.ndarray = found
        return scores

    def moments(self, quadrature: Quadrature) -> tuple[float, float]:
        """Skewness and excess kurtosis."""
        w, u = np.exp(self.log_weights), (quadrature.nodes - self.m) / self.s
        return float((w * u**3).sum()), float((w * u**4).sum() - 3.0)


def hermite(z: np.ndarray, degree: int) -> np.ndarray:
    """Orthonormal Hermite polynomials 0..k at z: (k + 1, Q)."""
    found = np.ones((degree + 1, z.size))
    if degree:
        found[1] = z
    for j in range(2, degree + 1):
        found[j] = (z * found[j - 1] - np.sqrt(j - 1) * found[j - 2]) / np.sqrt(j)
    return found


def _normalised(shape: Shape, z: np.ndarray, log_weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-weights (Q,) of the shape, normalised over the first n, and their derivatives (k, Q) by the angles."""
    total = log_weights.copy()
    total[:n] += shape.log_factor(z[:n])
    top = total[:n].max()
    total[:n] -= top + np.log(np.exp(total[:n] - top).sum())
    by = np.zeros((shape.angles.size, z.size))
    by[:, :n] = shape.by_angles(z[:n])
    by[:, :n] -= (by[:, :n] @ np.exp(total[:n]))[:, None]
    return total, by
