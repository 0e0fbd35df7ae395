"""The slope that an item would have on its own, where items share one: to see that an item is reversed."""

from __future__ import annotations

import numpy as np

from irt_engine.estimation.objective import Evaluation

_ITERATIONS = 25
_LONGEST = 1.0


def own_slopes(evaluation: Evaluation, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and SE of each item `chosen` (J,) bool, given the E-step's counts: a logistic regression on the nodes.

    The SE takes the abilities for known.
    """
    wrong, right, nodes = _side_by_side(evaluation, chosen)
    x = evaluation.x[: chosen.size, :2][chosen].copy()
    for _ in range(_ITERATIONS):
        p = 1.0 / (1.0 + np.exp(-(x[:, :1] * nodes + x[:, 1:])))
        residual, weight = right - (right + wrong) * p, (right + wrong) * p * (1.0 - p)
        aa, ad, dd = weight @ nodes**2, weight @ nodes, weight.sum(axis=1)
        by_a, by_d = residual @ nodes, residual.sum(axis=1)
        determinant = np.maximum(aa * dd - ad * ad, 1e-12)
        step = np.stack([dd * by_a - ad * by_d, aa * by_d - ad * by_a], axis=1) / determinant[:, None]
        x += np.clip(step, -_LONGEST, _LONGEST)
    return x[:, 0], np.sqrt(dd / determinant)


def _side_by_side(evaluation: Evaluation, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wrong and right answers (n, Q) of the items chosen, at the nodes (Q,) of all populations."""
    counts = []
    for part in evaluation.expected:
        own = np.zeros((2, chosen.size, part.nodes.size))
        own[:, part.items] = part.counts[0::2], part.counts[1::2]
        counts.append(own[:, chosen])
    wrong, right = np.concatenate(counts, axis=2)
    return wrong, right, np.concatenate([part.nodes for part in evaluation.expected])
