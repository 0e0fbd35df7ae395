"""The marginal log-posterior of all free parameters with its gradient: one E-step each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.kernels import expectation, items, tables
from irt_engine.kernels.memory import scattered_zeros
from irt_engine.kernels.threads import run
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model, latent
from irt_engine.model.priors import LogDensity
from irt_engine.model.quadrature import Quadrature

# Persons are cut into so many groups with sums of their own. It is a constant, since it decides the order of sums.
_GROUPS = 16
# ... but for banks so large that the sums of all groups would need more memory than this.
_GROUP_BYTES = 256 * 2**20


@dataclass
class Evaluation:
    """The objective at one point.

    :ivar x: (J + 1, 3), the point.
    :ivar loglik: marginal log-likelihood; `value`: with the log-densities of the priors.
    :ivar gradient: (J + 1, 3) of `value` by the free parameters, 0 for the others.
    :ivar information: (J, 6), complete-data information of the items, with that of the priors where it is positive.
    :ivar counts: (2 J, Q), of the E-step.
    :ivar n_persons: persons that took part.
    """

    x: np.ndarray
    loglik: float
    value: float
    gradient: np.ndarray
    information: np.ndarray
    counts: np.ndarray
    n_persons: int


class Objective:
    """Evaluates the objective for one set of answers.

    :param offsets: (N + 1,) int64 and `codes` (n,) int32, the answers by person.
    :param stride: of the persons every so-manieth takes part.
    :param precision: of the tables, float32 or float64; sums over persons are float64.
    :param ridge: weight of a pull towards the starting values, for samples too small to hold all items.
    """

    def __init__(
        self,
        offsets: np.ndarray,
        codes: np.ndarray,
        model: Model,
        quadrature: Quadrature,
        precision: type[np.floating[Any]] = np.float64,
        stride: int = 1,
        ridge: float = 0.0,
    ) -> None:
        self.model = model
        self.quadrature = quadrature
        self._offsets, self._codes = offsets, codes
        self._stride, self._ridge = stride, ridge
        rows, size = 2 * model.n_items, quadrature.nodes.size
        n_groups = max(1, min(_GROUPS, _GROUP_BYTES // (12 * rows * size)))
        self._starts = group_starts(offsets, n_groups)
        self.n_persons = int(sum(-(-int(n) // stride) for n in np.diff(self._starts)))
        self._table = scattered_zeros((rows, size), precision)
        self._log_weights: np.ndarray = quadrature.log_weights.astype(precision)
        self._part = scattered_zeros((n_groups, rows, size), precision)
        self._group_counts = np.zeros((n_groups, rows, size))
        self._group_loglik = np.zeros(n_groups)

    def nodes(self, x: np.ndarray) -> np.ndarray:
        """The nodes on the ability scale, (Q,)."""
        mean, sd = latent(x)
        return mean + sd * self.quadrature.nodes

    def __call__(self, x: np.ndarray, persons: np.ndarray | None = None) -> Evaluation:
        """Evaluate at `x`; `persons` (N, 3) is filled with log-likelihood, posterior mean and SD if given."""
        slope, intercept, guessing = self.model.items(x)
        nodes = self.nodes(x)
        run(tables.fill_log_probability, slope, intercept, guessing, nodes, self._table, work=10.0 * self._table.size)
        keep = np.empty((0, 3)) if persons is None else persons
        run(
            expectation.estep, self._offsets, self._codes, self._starts, self._stride, self._table, nodes,
            self._log_weights, self._part, self._group_counts, self._group_loglik, keep,
            work=float(self._codes.size) * nodes.size / self._stride, parts=self._starts.size - 1,
        )  # fmt: skip
        counts = np.empty(self._group_counts.shape[1:])
        run(expectation.add_groups, self._group_counts, counts, work=float(self._group_counts.size))
        return self._evaluation(x, float(self._group_loglik.sum()), counts)

    def _evaluation(self, x: np.ndarray, loglik: float, counts: np.ndarray) -> Evaluation:
        model = self.model
        by_item, information = np.empty((model.n_items, 3)), np.empty((model.n_items, 6))
        run(
            items.gradient_and_information, *model.items(x), self.nodes(x), counts, by_item, information,
            work=10.0 * counts.size,
        )  # fmt: skip
        gradient = np.zeros((by_item.shape[0] + 1, 3))
        mean, _ = latent(x)
        gradient[:-1] = by_item
        gradient[-1, COMMON_SLOPE] = by_item[model.common, 0].sum()
        # theta = mean + sd z: the latent parameters act through every item, the fixed ones included.
        gradient[-1, LATENT_MEAN] = (x[:-1, 0] * by_item[:, 1]).sum()
        gradient[-1, LOG_LATENT_SD] = (x[:-1, 0] * (by_item[:, 0] - mean * by_item[:, 1])).sum()
        prior = self.log_prior(x)
        gradient[:-1] += prior.gradient
        gradient[-1, COMMON_SLOPE] += prior.gradient[model.common, 0].sum()
        information[:, [0, 2, 5]] += np.maximum(-prior.hessian[:, [0, 2, 5]], 0.0)
        if self._ridge:
            shared = (x[-1] - model.start[-1]) * model.free[-1]
            gradient[-1] -= self._ridge * shared
            loglik -= 0.5 * self._ridge * float((shared**2).sum())
        gradient[~model.free] = 0.0
        value = loglik + float(prior.value.sum())
        return Evaluation(x, loglik, value, gradient, information, counts, self.n_persons)

    def log_prior(self, x: np.ndarray) -> LogDensity:
        """Log-density of the item parameters at `x`, with the pull towards the starting values where there is one."""
        model = self.model
        acts = model.free[:-1].copy()
        if model.free[-1, COMMON_SLOPE]:
            # A prior on a acts once on the common slope: by way of the first item that has it.
            acts[np.argmax(model.common), 0] = True
        density = model.priors.log_density(x[:-1, 0], x[:-1, 1], x[:-1, 2], acts)
        if self._ridge:
            away = (x - model.start)[:-1] * model.free[:-1]
            density.value[:] -= 0.5 * self._ridge * (away**2).sum(axis=1)
            density.gradient[:] -= self._ridge * away
            density.hessian[:, [0, 2, 5]] -= self._ridge
        return density


def group_starts(offsets: np.ndarray, n_groups: int) -> np.ndarray:
    """Cut persons into groups with about as many answers each: first person of each group and N, (G + 1,) int64."""
    wanted = np.linspace(0, offsets[-1], n_groups + 1)
    starts = np.searchsorted(offsets, wanted, side="left").astype(np.int64)
    starts[0], starts[-1] = 0, offsets.size - 1
    return np.maximum.accumulate(starts)
