"""The latent distribution on a grid."""

from __future__ import annotations

import numpy as np


def normal_grid(points: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Equally spaced nodes and the standard normal density at them, normalised to sum 1 (mirt's rule).

    :return: nodes (Q,), weights (Q,).
    """
    nodes = np.linspace(low, high, points)
    density = np.exp(-0.5 * nodes**2)
    return nodes, density / density.sum()
