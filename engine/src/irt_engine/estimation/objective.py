"""The marginal log-posterior of all free parameters with its gradient, by one E-step per evaluation."""

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
from irt_engine.model.shape import Shaped

# Added, per person, to the information of a shape's angles.
_LEAST_OF_ANGLES = 1e-3


@dataclass(frozen=True)
class ExpectedCounts:
    """The expected counts of one population.

    :ivar items: (J_g,) int64, numbers of the items that the population answered.
    :ivar counts: (2 J_g, Q) at `nodes` (Q,) on the ability scale, which are `z` (Q,) before mean and SD move them.
    :ivar n_persons: number of persons used.
    :ivar persons: (Q,), expected number of persons at the nodes; empty for normal distributions.
    :ivar shaped: the distribution if it is not normal, and `information` (2 + k, 2 + k) on mean, log SD and angles if
        abilities were known.
    """

    items: np.ndarray
    counts: np.ndarray
    nodes: np.ndarray
    z: np.ndarray
    n_persons: int
    persons: np.ndarray
    shaped: Shaped | None = None
    information: np.ndarray | None = None


@dataclass
class Evaluation:
    """The objective at one point.

    :ivar x: (J + G, 3), the point.
    :ivar loglik: marginal log-likelihood; `value`: with the log-densities of the priors.
    :ivar gradient: (J + G, 3) of `value` by the free parameters, 0 for the others.
    :ivar information: (J, 6), complete-data information of the items, with that of the priors where it is positive.
    :ivar expected: the expected counts of each population.
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
    :param stride: use every `stride`-th person.
    :param precision: of the tables, float32 or float64; sums over persons are float64.
    :param ridge: weight of a pull towards the starting values, for samples too small to determine all items.
    :param resolves: whether to use finer nodes for persons whose posterior the grid does not resolve; not with a
        stride.
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
            Posteriors(part.offsets, part.codes, part.items.size, quadrature, precision, model.is_shaped, stride)
            for part in populations
        ]

    def shares(self, x: np.ndarray) -> list[tuple[int, Share]]:
        """All persons, by population and kind, with their log-weights at `x`."""
        return [
            (g, share)
            for g, posteriors in enumerate(self._posteriors)
            for share in posteriors.shares(self._curves(x, g))
        ]

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
        loglik, expected, by_angles = 0.0, [], []
        for g, (population, posteriors) in enumerate(zip(self.populations, self._posteriors, strict=True)):
            # One population has all persons, in their order.
            apart = persons is not None and len(self.populations) > 1
            own = np.empty((population.persons.size, 3)) if apart else persons
            curves = self._curves(x, g)
            found = posteriors.expect(curves, np.empty((0, 3)) if own is None else own)
            if persons is not None and apart:
                persons[population.persons] = own
            loglik += found.loglik
            n = posteriors.n_persons
            part = ExpectedCounts(
                population.items, found.counts, curves.at(found.z), found.z, n, found.persons, curves.shaped,
                self._information(x, g, n, curves.shaped),
            )  # fmt: skip
            expected.append(part)
            by_angles.append(found.by_weights @ found.persons)
        return self._evaluation(x, loglik, expected, by_angles)

    def _curves(self, x: np.ndarray, g: int) -> ItemCurves:
        return ItemCurves.of(self.model, x, g, self.populations[g].items, self.quadrature)

    def _information(self, x: np.ndarray, g: int, n_persons: int, shaped: Shaped | None) -> np.ndarray | None:
        if shaped is None:
            return None
        scores = shaped.scores(self.quadrature, self.model.latent(x, g)[1])
        weighted = scores * (n_persons * np.exp(shaped.log_weights))
        total: np.ndarray = np.einsum("iq,jq->ij", weighted, scores)
        # A normal density hardly changes with the first angles: their information is 0 there.
        total[2:, 2:] += _LEAST_OF_ANGLES * n_persons * np.eye(total.shape[0] - 2)
        return total

    def _evaluation(
        self, x: np.ndarray, loglik: float, expected: list[ExpectedCounts], by_angles: list[np.ndarray]
    ) -> Evaluation:
        model, n = self.model, self.model.n_items
        gradient, information = np.zeros_like(x), np.zeros((n, 6))
        for g, part in enumerate(expected):
            by_item, own = gradient_and_information(model, x, part)
            gradient[part.items] += by_item
            information[part.items] += own
            place, sd = model.latent(x, g)
            if part.shaped is not None:
                place, _ = part.shaped.placed(place, sd)
            slope = x[part.items, 0]
            # theta = location + scale z: these act through every item, the fixed ones included.
            by_place = (slope * by_item[:, 1]).sum()
            by_log_scale = (slope * (by_item[:, 0] - place * by_item[:, 1])).sum()
            gradient[n + g, LATENT_MEAN], gradient[n + g, LOG_LATENT_SD] = by_place, by_log_scale
            if part.shaped is not None:
                gradient[n + g, LOG_LATENT_SD] -= by_place * sd * part.shaped.m / part.shaped.s
                self._add_angles(gradient, g, part.shaped, sd, by_place, by_log_scale, by_angles[g])
        gradient[n, COMMON_SLOPE] = gradient[:n, 0][model.common].sum()
        prior = self.log_prior(x)
        gradient[:n] += prior.gradient
        gradient[n, COMMON_SLOPE] += prior.gradient[model.common, 0].sum()
        information += prior.information
        if self._ridge:
            shared = (x[n:] - model.start[n:]) * model.free[n:]
            gradient[n:] -= self._ridge * shared
            loglik -= 0.5 * self._ridge * float((shared**2).sum())
        gradient[~model.free] = 0.0
        value = loglik + float(prior.value.sum())
        return Evaluation(x, loglik, value, gradient, information, expected)

    def _add_angles(
        self, gradient: np.ndarray, g: int, shaped: Shaped, sd: float, by_place: float, by_log_scale: float,
        by_weights: np.ndarray,
    ) -> None:  # fmt: skip
        """Angles act through the weights of the nodes, and through location and scale, since mean and SD stay."""
        if not self.model.degree:
            return
        m, s = shaped.m, shaped.s
        of_place = -sd * (shaped.by_m / s - m * shaped.by_s / s**2)
        total = by_weights + by_place * of_place - by_log_scale * shaped.by_s / s
        rows = gradient[self.model.angle_rows(g)]
        rows.reshape(-1)[: total.size] = total

    def log_prior(self, x: np.ndarray) -> LogDensity:
        """Log-density of the item parameters at `x`, with the pull towards the starting values, if any."""
        model, n = self.model, self.model.n_items
        acts = model.free[:n].copy()
        if model.free[n, COMMON_SLOPE]:
            # A prior on a applies once to the common slope, through the first item that has it.
            acts[np.argmax(model.common), 0] = True
        density = model.priors.log_density(x[:n, 0], x[:n, 1], x[:n, 2], acts)
        if self._ridge:
            away = (x - model.start)[:n] * model.free[:n]
            density.value[:] -= 0.5 * self._ridge * (away**2).sum(axis=1)
            density.gradient[:] -= self._ridge * away
            density.hessian[:, [0, 2, 5]] -= self._ridge
            density.information[:, [0, 2, 5]] += self._ridge
        return density


def gradient_and_information(model: Model, x: np.ndarray, part: ExpectedCounts) -> tuple[np.ndarray, np.ndarray]:
    """One population's contribution to its items: gradient (J_g, 3), and information (J_g, 6) given the posterior."""
    gradient, information = np.empty((part.items.size, 3)), np.empty((part.items.size, 6))
    run(
        items.gradient_and_information, *(values[part.items] for values in model.items(x)), part.nodes, part.counts,
        gradient, information, work=10.0 * part.counts.size,
    )  # fmt: skip
    return gradient, information
