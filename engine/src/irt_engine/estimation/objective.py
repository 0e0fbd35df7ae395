"""The marginal log-posterior of all free parameters with its gradient: one E-step each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.answers.populations import Population
from irt_engine.estimation.posteriors import ItemCurves, Posteriors, Share
from irt_engine.kernels import items
from irt_engine.kernels.threads import run
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model
from irt_engine.model.priors import LogDensity
from irt_engine.model.quadrature import Quadrature


@dataclass(frozen=True)
class ExpectedCounts:
    """What the E-step expects of one population.

    :ivar items: (J_g,) int64, numbers of the items that the population answered.
    :ivar counts: (2 J_g, Q) at `nodes` (Q,) on the ability scale, which are `z` (Q,) before mean and SD move them.
    :ivar n_persons: persons that took part.
    """

    items: np.ndarray
    counts: np.ndarray
    nodes: np.ndarray
    z: np.ndarray
    n_persons: int


@dataclass
class Evaluation:
    """The objective at one point.

    :ivar x: (J + G, 3), the point.
    :ivar loglik: marginal log-likelihood; `value`: with the log-densities of the priors.
    :ivar gradient: (J + G, 3) of `value` by the free parameters, 0 for the others.
    :ivar information: (J, 6), complete-data information of the items, with that of the priors where it is positive.
    :ivar expected: what the E-step expects of each population.
    """

    x: np.ndarray
    loglik: float
    value: float
    gradient: np.ndarray
    information: np.ndarray
    expected: list[ExpectedCounts]

    @property
    def n_persons(self) -> int:
        return sum(part.n_persons for part in self.expected)


class Objective:
    """Evaluates the objective for one set of answers.

    :param populations: the answers by population, the reference first.
    :param stride: of the persons every so-manieth takes part.
    :param precision: of the tables, float32 or float64; sums over persons are float64.
    :param ridge: weight of a pull towards the starting values, for samples too small to hold all items.
    :param resolves: whether persons whose posterior the grid does not resolve get finer nodes; not with a stride.
    """

    def __init__(
        self,
        populations: Sequence[Population],
        model: Model,
        quadrature: Quadrature,
        precision: type[np.floating[Any]] = np.float64,
        stride: int = 1,
        ridge: float = 0.0,
        resolves: bool = False,
    ) -> None:
        self.model = model
        self.quadrature = quadrature
        self.populations = populations
        self._ridge = ridge
        self._resolves = resolves
        self._looked_through = False
        self._posteriors = [
            Posteriors(part.offsets, part.codes, part.items.size, quadrature, precision, stride) for part in populations
        ]

    def shares(self) -> list[tuple[int, Share]]:
        """All persons, by population and kind."""
        return [(g, share) for g, posteriors in enumerate(self._posteriors) for share in posteriors.shares()]

    def look_through(self, x: np.ndarray) -> bool:
        """Find the persons whose posteriors at `x` may be too narrow for the grid; return whether there are new ones.

        The first evaluation does so by itself.
        """
        self._looked_through = True
        return any([part.look_through(self._curves(x, g)) for g, part in enumerate(self._posteriors)])

    def __call__(self, x: np.ndarray, persons: np.ndarray | None = None) -> Evaluation:
        """Evaluate at `x`; `persons` (N, 3) is filled with log-likelihood, posterior mean and SD if given."""
        if self._resolves and not self._looked_through:
            self.look_through(x)
        loglik, expected = 0.0, []
        for g, (population, posteriors) in enumerate(zip(self.populations, self._posteriors, strict=True)):
            own = np.empty((0 if persons is None else population.persons.size, 3))
            curves = self._curves(x, g)
            found = posteriors.expect(curves, own)
            if persons is not None:
                persons[population.persons] = own
            loglik += found.loglik
            expected.append(
                ExpectedCounts(population.items, found.counts, curves.at(found.z), found.z, posteriors.n_persons)
            )
        return self._evaluation(x, loglik, expected)

    def _curves(self, x: np.ndarray, g: int) -> ItemCurves:
        return ItemCurves.of(self.model, x, g, self.populations[g].items)

    def _evaluation(self, x: np.ndarray, loglik: float, expected: list[ExpectedCounts]) -> Evaluation:
        model, n = self.model, self.model.n_items
        gradient, information = np.zeros_like(x), np.zeros((n, 6))
        for g, part in enumerate(expected):
            by_item, own = gradient_and_information(model, x, part)
            gradient[part.items] += by_item
            information[part.items] += own
            mean, _ = model.latent(x, g)
            slope = x[part.items, 0]
            # theta = mean + sd z: the latent parameters act through every item, the fixed ones included.
            gradient[n + g, LATENT_MEAN] = (slope * by_item[:, 1]).sum()
            gradient[n + g, LOG_LATENT_SD] = (slope * (by_item[:, 0] - mean * by_item[:, 1])).sum()
        gradient[n, COMMON_SLOPE] = gradient[:n, 0][model.common].sum()
        prior = self.log_prior(x)
        gradient[:n] += prior.gradient
        gradient[n, COMMON_SLOPE] += prior.gradient[model.common, 0].sum()
        information[:, [0, 2, 5]] += np.maximum(-prior.hessian[:, [0, 2, 5]], 0.0)
        if self._ridge:
            shared = (x[n:] - model.start[n:]) * model.free[n:]
            gradient[n:] -= self._ridge * shared
            loglik -= 0.5 * self._ridge * float((shared**2).sum())
        gradient[~model.free] = 0.0
        value = loglik + float(prior.value.sum())
        return Evaluation(x, loglik, value, gradient, information, expected)

    def log_prior(self, x: np.ndarray) -> LogDensity:
        """Log-density of the item parameters at `x`, with the pull towards the starting values where there is one."""
        model, n = self.model, self.model.n_items
        acts = model.free[:n].copy()
        if model.free[n, COMMON_SLOPE]:
            # A prior on a acts once on the common slope: by way of the first item that has it.
            acts[np.argmax(model.common), 0] = True
        density = model.priors.log_density(x[:n, 0], x[:n, 1], x[:n, 2], acts)
        if self._ridge:
            away = (x - model.start)[:n] * model.free[:n]
            density.value[:] -= 0.5 * self._ridge * (away**2).sum(axis=1)
            density.gradient[:] -= self._ridge * away
            density.hessian[:, [0, 2, 5]] -= self._ridge
        return density


def gradient_and_information(model: Model, x: np.ndarray, part: ExpectedCounts) -> tuple[np.ndarray, np.ndarray]:
    """What one population says of its items: gradient (J_g, 3), and information (J_g, 6) given the posterior."""
    gradient, information = np.empty((part.items.size, 3)), np.empty((part.items.size, 6))
    run(
        items.gradient_and_information, *(values[part.items] for values in model.items(x)), part.nodes, part.counts,
        gradient, information, work=10.0 * part.counts.size,
    )  # fmt: skip
    return gradient, information
