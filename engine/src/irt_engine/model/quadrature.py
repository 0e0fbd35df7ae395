"""The grid over which the latent distribution is integrated.

Nodes z are equally spaced, with the standard normal density, divided by its sum, as weights. A free latent mean and
standard deviation move the nodes, theta = mean + sd * z, but not the weights. So the grid covers wide and narrow latent
distributions alike; a grid that stayed in place would cut off the tails, and the log-likelihood would depend on the
cut. Abilities, however, are estimated on the grid in place if it covers the latent distribution, because its ends are
the range of abilities in the settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irt_engine.kernels.jit import padded
from irt_engine.kernels.narrow import RESOLVED

# Log-weight of padding nodes: their posterior is 0.
_NEVER = -1e4
# A grid in place must cover this many latent SDs to both sides, and an SD must span this many node spacings.
_COVERED, _SPACINGS = 4.0, 1.5
# Grids with fewer nodes are not thinned.
_MIN_THINNED = 41


@dataclass(frozen=True)
class Quadrature:
    """`points` nodes z and log-weights, padded: both (Q,) float64."""

    points: int
    nodes: NDArray[np.float64]
    log_weights: NDArray[np.float64]

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

    @property
    def distance(self) -> float:
        """Distance between neighbouring nodes."""
        return float(self.nodes[1] - self.nodes[0])

    def halved(self) -> Quadrature:
        """The same range with a node between any two neighbours."""
        return Quadrature.normal(2 * self.points - 1, self.nodes[0], self.nodes[self.points - 1])

    def thinned(self) -> Quadrature:
        """Every second node, if enough are left to come close to the result; otherwise this grid."""
        if self.points < _MIN_THINNED:
            return self
        half = (self.points + 1) // 2
        return Quadrature.normal(half, self.nodes[0], self.nodes[2 * (half - 1)])

    def moved(self, mean: float, sd: float) -> Quadrature:
        """Nodes on the scale of abilities with that mean and SD."""
        return Quadrature(self.points, mean + sd * self.nodes, self.log_weights)

    @classmethod
    def for_scores(cls, points: int, low: float, high: float, mean: float, sd: float) -> Quadrature:
        """The grid for abilities ~ N(`mean`, `sd`^2): in place, or moved.

        It stays in place if it covers mean +- 4 SD and is fine enough for the SD.

        :return: nodes on the ability scale, and their log-weights.
        """
        grid = cls.normal(points, low, high)
        covers = low <= mean - _COVERED * sd and mean + _COVERED * sd <= high
        if not covers or sd < _SPACINGS * (high - low) / (points - 1):
            return grid.moved(mean, sd)
        log_weights = np.full(grid.nodes.size, _NEVER)
        log_density = -0.5 * ((grid.nodes[:points] - mean) / sd) ** 2
        log_weights[:points] = log_density - np.log(np.exp(log_density).sum())
        return cls(points, grid.nodes, log_weights)

    def depth_for(self, sd: float) -> int:
        """How many times the distance must be halved to resolve a density with this standard deviation of z."""
        return max(0, math.ceil(math.log2(RESOLVED * self.distance / sd)))

    def gathered(self, counts: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move counts (R, Q') at nodes z (Q',), the first of which are this grid's, to this grid's nodes: (R, Q).

        The two neighbours share the counts of a finer node, so that sum and mean of z do not change.
        """
        size = self.nodes.size
        if z.size == size:
            return counts
        place = np.clip((z[size:] - self.nodes[0]) / self.distance, 0.0, self.points - 1.0)
        left = np.minimum(place.astype(np.int64), self.points - 2)
        sharing = np.zeros((place.size, size))
        sharing[np.arange(place.size), left] = 1.0 - (place - left)
        sharing[np.arange(place.size), left + 1] = place - left
        total: NDArray[np.float64] = counts[:, :size] + counts[:, size:] @ sharing
        return total

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights (Q,), zero for padding nodes."""
        return np.exp(self.log_weights)


@dataclass(frozen=True)
class Levels:
    """A grid followed by finer ones over the same range, each with half the distance of the one before.

    :ivar nodes: (Q,) nodes z of all levels, as `log_weights`, each level padded.
    :ivar starts: (L + 1,) int64, first node of each level, and Q; `distances` (L,) of neighbouring nodes.
    """

    nodes: NDArray[np.float64]
    log_weights: NDArray[np.float64]
    starts: NDArray[np.int64]
    distances: NDArray[np.float64]

    @classmethod
    def of(cls, quadrature: Quadrature, depth: int) -> Levels:
        """`quadrature` and `depth` finer grids."""
        grids = [quadrature]
        for _ in range(depth):
            grids.append(grids[-1].halved())
        starts = np.cumsum([0, *(grid.nodes.size for grid in grids)])
        return cls(
            np.concatenate([grid.nodes for grid in grids]),
            np.concatenate([grid.log_weights for grid in grids]),
            starts.astype(np.int64),
            np.array([grid.distance for grid in grids]),
        )
