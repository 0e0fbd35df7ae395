"""The marginal log-posterior of all free parameters with its gradient: one E-step each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.estimation.posteriors import Expected, ItemCurves, Posteriors
from irt_engine.kernels import items
from irt_engine.kernels.threads import run
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model, latent
from irt_engine.model.priors import LogDensity
from irt_engine.model.quadrature import Quadrature


@dataclass
class Evaluation:
    """The objective at one point.

    :ivar x: (J + 1, 3), the point.
    :ivar loglik: marginal log-likelihood; `value`: with the log-densities of the priors.
    :ivar gradient: (J + 1, 3) of `value` by the free parameters, 0 for the others.
    :ivar information: (J, 6), complete-data information of the items, with that of the priors where it is positive.
    :ivar counts: (2 J, Q), of the E-step, at `nodes` (Q,) on the ability scale.
    :ivar n_persons: persons that took part.
    """

    x: np.ndarray
    loglik: float
    value: float
    gradient: np.ndarray
    information: np.ndarray
    counts: np.ndarray
    nodes: np.ndarray
    n_persons: int


class Objective:
    """Evaluates the objective for one set of answers.

    :param offsets: (N + 1,) int64 and `codes` (n,) int32, the answers by person.
    :param stride: of the persons every so-manieth takes part.
    :param precision: of the tables, float32 or float64; sums over persons are float64.
    :param ridge: weight of a pull towards the starting values, for samples too small to hold all items.
    :param resolves: whether persons whose posterior the grid does not resolve get finer nodes; not with a stride.
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
        resolves: bool = False,
    ) -> None:
        self.model = model
        self.quadrature = quadrature
        self._ridge = ridge
        self._resolves = resolves
        self._looked_through = False
        self.posteriors = Posteriors(offsets, codes, model.n_items, quadrature, precision, stride)

    @property
    def n_persons(self) -> int:
        return self.posteriors.n_persons

    def look_through(self, x: np.ndarray) -> bool:
        """Find the persons whose posteriors at `x` may be too narrow for the grid; return whether there are new ones.

        The first evaluation does so by itself.
        """
        self._looked_through = True
        return self.posteriors.look_through(self._curves(x))

    def __call__(self, x: np.ndarray, persons: np.ndarray | None = None) -> Evaluation:
        """Evaluate at `x`; `persons` (N, 3) is filled with log-likelihood, posterior mean and SD if given."""
        if self._resolves and not self._looked_through:
            self.look_through(x)
        keep = np.empty((0, 3)) if persons is None else persons
        return self._evaluation(x, self.posteriors.expect(self._curves(x), keep))

    def _curves(self, x: np.ndarray) -> ItemCurves:
        return ItemCurves(*self.model.items(x), *latent(x))

    def _evaluation(self, x: np.ndarray, expected: Expected) -> Evaluation:
        model, counts = self.model, expected.counts
        by_item, information = np.empty((model.n_items, 3)), np.empty((model.n_items, 6))
        mean, sd = latent(x)
        nodes = mean + sd * expected.z
        run(
            items.gradient_and_information, *model.items(x), nodes, counts, by_item, information,
            work=10.0 * counts.size,
        )  # fmt: skip
        gradient = np.zeros((by_item.shape[0] + 1, 3))
        gradient[:-1] = by_item
        gradient[-1, COMMON_SLOPE] = by_item[model.common, 0].sum()
        # theta = mean + sd z: the latent parameters act through every item, the fixed ones included.
        gradient[-1, LATENT_MEAN] = (x[:-1, 0] * by_item[:, 1]).sum()
        gradient[-1, LOG_LATENT_SD] = (x[:-1, 0] * (by_item[:, 0] - mean * by_item[:, 1])).sum()
        prior = self.log_prior(x)
        gradient[:-1] += prior.gradient
        gradient[-1, COMMON_SLOPE] += prior.gradient[model.common, 0].sum()
        information += prior.information
        loglik = expected.loglik
        if self._ridge:
            shared = (x[-1] - model.start[-1]) * model.free[-1]
            gradient[-1] -= self._ridge * shared
            loglik -= 0.5 * self._ridge * float((shared**2).sum())
        gradient[~model.free] = 0.0
        value = loglik + float(prior.value.sum())
        return Evaluation(x, loglik, value, gradient, information, counts, nodes, self.n_persons)

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
            density.information[:, [0, 2, 5]] += self._ridge
        return density
