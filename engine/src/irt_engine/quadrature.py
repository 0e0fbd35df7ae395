"""The grid over which the latent distribution is integrated.

Nodes z are equally spaced, with the standard normal density, divided by its sum, as weights. A free latent mean and
standard deviation move the nodes, theta = mean + sd * z, and leave the weights: so the grid covers a wide latent
distribution as well as a narrow one, where a grid that stays in place would cut off the tails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.kernels.jit import padded

# Log-weight of the nodes that only fill a row up to its length: their posterior is 0.
_NEVER = -1e4
# Below this number of nodes a grid is not thinned out.
_MIN_THINNED = 41


@dataclass(frozen=True)
class Quadrature:
    """`points` nodes z and log-weights, padded: both (Q,) float64."""

    points: int
    nodes: np.ndarray
    log_weights: np.ndarray

    @classmethod
    def normal(cls, points: int, low: float, high: float) -> Quadrature:
        """Equally spaced nodes from `low` to `high` under the standard normal density."""
        size = padded(points)
        nodes = np.zeros(size)
        nodes[:points] = np.linspace(low, high, points)
        log_density = -0.5 * nodes[:points] ** 2
        log_weights = np.full(size, _NEVER)
        log_weights[:points] = log_density - np.log(np.exp(log_density).sum())
        return cls(points, nodes, log_weights)

    def thinned(self) -> Quadrature:
        """Every second node, where enough are left to come close to the result; else this grid."""
        if self.points < _MIN_THINNED:
            return self
        half = (self.points + 1) // 2
        return Quadrature.normal(half, self.nodes[0], self.nodes[2 * (half - 1)])

    @property
    def weights(self) -> np.ndarray:
        """Weights (Q,), zero for the nodes that fill up."""
        return np.exp(self.log_weights)
