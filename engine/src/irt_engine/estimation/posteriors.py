"""E-steps: expected counts of persons by item, answer and node.

Most persons share one grid. Persons whose posterior may be too narrow for it, from about a hundred answers on, are kept
apart: each of them uses finer nodes around its posterior. A bank without such persons pays nothing for them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.answers.selection import answers_of
from irt_engine.cluster import connection, steps
from irt_engine.kernels import expectation, narrow, tables
from irt_engine.kernels.memory import scattered_zeros
from irt_engine.kernels.threads import run
from irt_engine.model.parameters import Model
from irt_engine.model.quadrature import Levels, Quadrature
from irt_engine.model.shape import Shaped

# Number of groups of persons whose sums are kept apart. It is constant, because it fixes the order of summation.
_GROUPS = 16
# There are fewer groups where the sums would need more memory than this.
_GROUP_BYTES = 256 * 2**20
# Once items are this much steeper, persons are checked again.
_STEEPER = 1.15
# The node distance of the finest level is 2^-_DEEPEST times that of the grid.
_DEEPEST = 6

Precision = type[np.floating[Any]]
_NOTHING = np.empty((0, 0))


@dataclass(frozen=True)
class ItemCurves:
    """Slopes, intercepts and probabilities of guessing, (J,) each, and where a population's abilities lie.

    :ivar mean: location, and `sd` scale, of the abilities: for a normal distribution their mean and SD.
    """

    slope: np.ndarray
    intercept: np.ndarray
    guessing: np.ndarray
    mean: float
    sd: float
    shaped: Shaped | None = None

    @classmethod
    def of(cls, model: Model, x: np.ndarray, population: int, items: np.ndarray, quadrature: Quadrature) -> ItemCurves:
        """The curves of the `items` (J_g,) that a population answered, at `x`."""
        slope, intercept, guessing = model.items(x)
        shape, place = model.shape(x, population), model.latent(x, population)
        shaped = None if shape is None else Shaped.on(shape, quadrature)
        if shaped is not None:
            place = shaped.placed(*place)
        return cls(slope[items], intercept[items], guessing[items], *place, shaped)

    def at(self, z: np.ndarray) -> np.ndarray:
        """Abilities (Q,) of the nodes z."""
        nodes: np.ndarray = self.mean + self.sd * z
        return nodes

    def table(self, z: np.ndarray, table: np.ndarray) -> None:
        """Fill `table` (2 J, Q) with the log-probabilities of the answers at the nodes z."""
        run(
            tables.fill_log_probability, self.slope, self.intercept, self.guessing, self.at(z), table,
            work=10.0 * table.size,
        )  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """The result of an E-step: the log-likelihood, and `counts` (2 J, Q) at the nodes z (Q,).

    :ivar persons: (Q,), expected number of persons at the nodes, and `by_weights` (k, Q), derivatives of their
        log-weights by the angles of the shape; empty for normal distributions.
    """

    loglik: float
    counts: np.ndarray
    z: np.ndarray
    persons: np.ndarray
    by_weights: np.ndarray

    @classmethod
    def split(cls, sums: _Sums, n_items: int, z: np.ndarray, by_weights: np.ndarray) -> Expected:
        total = sums.total_counts()
        return cls(sums.total_loglik, total[: 2 * n_items], z, total[2 * n_items :].ravel(), by_weights)


@dataclass(frozen=True)
class Share:
    """Persons of one kind, with the nodes z (Q,) and log-weights for their posteriors.

    :ivar offsets: (N + 1,), `codes` (n,), of these persons.
    :ivar windows: (N, 2) int64, first node and end of each person; (1, 2) if they are the same for all.
    """

    offsets: np.ndarray
    codes: np.ndarray
    windows: np.ndarray
    z: np.ndarray
    log_weights: np.ndarray


class CommonGrid:
    """The E-step of persons who share one grid.

    :param offsets: (N + 1,) int64 and `codes` (n,) int32, the answers by person.
    :param stride: use every `stride`-th person.
    """

    def __init__(
        self, offsets: np.ndarray, codes: np.ndarray, n_items: int, quadrature: Quadrature, precision: Precision,
        counts_persons: bool = False, stride: int = 1,
    ) -> None:  # fmt: skip
        self._offsets, self._codes, self._stride = offsets, codes, stride
        self._quadrature, self._n_items, self._precision = quadrature, n_items, precision
        self._sums = _Sums(2 * n_items, quadrature.nodes.size, precision, counts_persons)
        self._starts = group_starts(offsets, self._sums.n_groups)
        self.n_persons = int(sum(-(-int(n) // stride) for n in np.diff(self._starts)))
        self._log_weights: np.ndarray = quadrature.log_weights.astype(precision)

    def share(self, curves: ItemCurves) -> Share:
        whole = np.array([[0, self._quadrature.nodes.size]])
        log_weights = self._quadrature.log_weights if curves.shaped is None else curves.shaped.log_weights
        return Share(self._offsets, self._codes, whole, self._quadrature.nodes, log_weights)

    def expect(self, curves: ItemCurves, persons: np.ndarray) -> Expected:
        """`persons` (N, 3) is filled with log-likelihood, posterior mean and SD; or (0, 3)."""
        z, log_weights, by_weights = self._quadrature.nodes, self._log_weights, _NOTHING
        if curves.shaped is not None:
            log_weights = curves.shaped.log_weights.astype(self._precision)
            by_weights = curves.shaped.by_weights
        curves.table(z, self._sums.table)
        if cluster := connection.current():
            held = cluster.hold(self._offsets, self._codes, self._starts)
            shared = (self._stride, self._sums.table, curves.at(z), log_weights, self._sums.rows, persons.size > 0)
            self._sums.take(held.map(steps.estep, shared), persons)
            return Expected.split(self._sums, self._n_items, z, by_weights)
        run(
            expectation.estep, self._offsets, self._codes, self._starts, self._stride, self._sums.table, curves.at(z),
            log_weights, self._sums.part, self._sums.counts, self._sums.loglik, persons,
            work=float(self._codes.size) * z.size / self._stride, parts=self._sums.n_groups,
        )  # fmt: skip
        return Expected.split(self._sums, self._n_items, z, by_weights)


class NarrowPosteriors:
    """The E-step of the persons `members` (M,), who may need finer nodes.

    :param narrowest: lower bound of the SDs of their posteriors, in units of z.
    """

    def __init__(
        self, offsets: np.ndarray, codes: np.ndarray, n_items: int, quadrature: Quadrature, precision: Precision,
        counts_persons: bool, members: np.ndarray, narrowest: float,
    ) -> None:  # fmt: skip
        self.members, self._n_items, self._precision = members, n_items, precision
        self._offsets, self._codes = offsets, codes
        self._levels = Levels.of(quadrature, min(quadrature.depth_for(narrowest), _DEEPEST))
        self._sums = _Sums(2 * n_items, self._levels.nodes.size, precision, counts_persons)
        answers = np.concatenate([[0], np.cumsum(np.diff(offsets)[members])])
        self._starts = group_starts(answers, self._sums.n_groups)
        self._n_answers = int(answers[-1])
        # The answers of the members, where a cluster is to hold them.
        self._own: tuple[np.ndarray, np.ndarray] | None = None
        self._log_weights: np.ndarray = self._levels.log_weights.astype(precision)
        whole = self._levels.starts[:2]
        self.windows: np.ndarray = np.tile(np.array([0, whole[0], whole[1]], np.int64), (members.size, 1))

    def share(self, curves: ItemCurves) -> Share:
        offsets, codes = answers_of(self.members, self._offsets, self._codes)
        windows = np.ascontiguousarray(self.windows[:, 1:])
        log_weights = self._levels.log_weights
        if curves.shaped is not None:
            log_weights, _ = curves.shaped.at_levels(self._levels)
        return Share(offsets, codes, windows, self._levels.nodes, log_weights)

    def expect(self, curves: ItemCurves, persons: np.ndarray) -> Expected:
        """As `CommonGrid.expect`; the nodes are those that at least one person used."""
        levels, log_weights, by_weights = self._levels, self._log_weights, None
        if curves.shaped is not None:
            exact, by_weights = curves.shaped.at_levels(levels)
            log_weights = exact.astype(self._precision)
        curves.table(levels.nodes, self._sums.table)
        if cluster := connection.current():
            self._expect_on(cluster, curves, log_weights, persons)
        else:
            self._expect_here(curves, log_weights, persons)
        used = self._used_nodes()
        found = Expected.split(self._sums, self._n_items, levels.nodes, _NOTHING)
        return Expected(
            found.loglik, np.ascontiguousarray(found.counts[:, used]), levels.nodes[used],
            found.persons[used] if found.persons.size else found.persons,
            _NOTHING if by_weights is None else by_weights[:, used],
        )  # fmt: skip

    def _expect_here(self, curves: ItemCurves, log_weights: np.ndarray, persons: np.ndarray) -> None:
        levels = self._levels
        run(
            narrow.estep, self.members, self._offsets, self._codes, self._starts, self._sums.table,
            curves.at(levels.nodes), levels.nodes, log_weights, levels.starts, levels.distances, self.windows,
            self._sums.part, self._sums.counts, self._sums.loglik, persons,
            work=2.0 * self._n_answers * narrow.WINDOW, parts=self._sums.n_groups,
        )  # fmt: skip

    def _expect_on(
        self, cluster: connection.Cluster, curves: ItemCurves, log_weights: np.ndarray, persons: np.ndarray
    ) -> None:
        """On the workers, who get and return the windows: a lost worker takes nothing with it."""
        if self._own is None:
            self._own = answers_of(self.members, self._offsets, self._codes)
        levels, rows = self._levels, self._sums.rows
        shared = (
            self._sums.table, curves.at(levels.nodes), levels.nodes, log_weights, levels.starts, levels.distances, rows,
            persons.size > 0,
        )  # fmt: skip
        groups = [slice(*ends) for ends in itertools.pairwise(self._starts)]
        windows = [(self.windows[group].astype(np.int32),) for group in groups]
        found = cluster.hold(*self._own, self._starts).map(steps.narrow_estep, shared, windows)
        own = np.empty((self.members.size if persons.size else 0, 3))
        self._sums.take([each[:3] for each in found], own)
        if persons.size:
            persons[self.members] = own
        for group, (*_, moved) in zip(groups, found, strict=True):
            self.windows[group] = moved

    def _used_nodes(self) -> np.ndarray:
        used = np.zeros(self._levels.nodes.size, bool)
        for first, end in np.unique(self.windows[:, 1:], axis=0):
            used[first:end] = True
        return used


class _Sums:
    """Memory for one E-step: the table of log-probabilities, and counts and log-likelihoods by group."""

    def __init__(self, rows: int, nodes: int, precision: Precision, counts_persons: bool) -> None:
        self.n_groups = max(1, min(_GROUPS, _GROUP_BYTES // (12 * rows * nodes)))
        self.table = scattered_zeros((rows, nodes), precision)
        self.part = scattered_zeros((self.n_groups, rows + counts_persons, nodes), precision)
        self.counts = np.zeros((self.n_groups, rows + counts_persons, nodes))
        self.loglik = np.zeros(self.n_groups)

    @property
    def rows(self) -> int:
        """Rows of a group's counts."""
        return int(self.counts.shape[1])

    def take(self, groups: list[tuple[np.ndarray, float, np.ndarray]], persons: np.ndarray) -> None:
        """Take over what a cluster found for each group: counts, log-likelihood, and persons (N, 3) or (0, 3)."""
        for g, (counts, loglik, _) in enumerate(groups):
            self.counts[g], self.loglik[g] = counts, loglik
        if persons.size:
            np.concatenate([found for *_, found in groups], out=persons)

    @property
    def total_loglik(self) -> float:
        return float(self.loglik.sum())

    def total_counts(self) -> np.ndarray:
        total = np.empty(self.counts.shape[1:])
        run(expectation.add_groups, self.counts, total, work=float(self.counts.size))
        return total


class Posteriors:
    """The E-step of all persons of a population; `look_through` decides who is kept apart."""

    def __init__(
        self, offsets: np.ndarray, codes: np.ndarray, n_items: int, quadrature: Quadrature, precision: Precision,
        counts_persons: bool, stride: int,
    ) -> None:  # fmt: skip
        self._offsets, self._codes, self._n_items, self._counts_persons = offsets, codes, n_items, counts_persons
        self._quadrature, self._precision, self._stride = quadrature, precision, stride
        self.common_persons: np.ndarray | None = None
        self.common = CommonGrid(offsets, codes, n_items, quadrature, precision, counts_persons, stride)
        self.narrow: NarrowPosteriors | None = None
        self.n_persons = self.common.n_persons

    def look_through(self, curves: ItemCurves) -> bool:
        """Keep the persons apart whose posterior may be too narrow for the grid; return whether there are new ones."""
        bound = most_information(self._offsets, self._codes, curves, self._quadrature)
        apart = bound > least_information(self._quadrature)
        if self.narrow is not None:
            known = np.zeros(apart.size, bool)
            known[self.narrow.members] = True
            if not (apart & ~known).any():
                return False
            apart |= known
        if not apart.any():
            return False
        members = np.flatnonzero(apart)
        narrowest = 1.0 / np.sqrt(1.0 + float(bound[members].max()))
        common = self._n_items, self._quadrature, self._precision, self._counts_persons
        self.narrow = NarrowPosteriors(self._offsets, self._codes, *common, members, narrowest)
        self.common_persons = np.flatnonzero(~apart)
        offsets, codes = answers_of(self.common_persons, self._offsets, self._codes)
        self.common = CommonGrid(offsets, codes, *common)
        return True

    def shares(self, curves: ItemCurves) -> list[Share]:
        """All persons, by kind."""
        if self.narrow is None:
            return [self.common.share(curves)]
        kinds = [self.narrow.share(curves)]
        return [self.common.share(curves), *kinds] if self.common.n_persons else kinds

    def expect(self, curves: ItemCurves, persons: np.ndarray) -> Expected:
        """`persons` (N, 3) is filled with log-likelihood, posterior mean and SD; or (0, 3)."""
        if self.narrow is None or self.common_persons is None:
            return self.common.expect(curves, persons)
        own = np.empty((self.common_persons.size if persons.size else 0, 3))
        common = self.common.expect(curves, own)
        if persons.size:
            persons[self.common_persons] = own
        apart = self.narrow.expect(curves, persons)
        return Expected(
            common.loglik + apart.loglik,
            np.concatenate([common.counts, apart.counts], axis=1),
            np.concatenate([common.z, apart.z]),
            np.concatenate([common.persons, apart.persons]),
            np.concatenate([common.by_weights, apart.by_weights], axis=1),
        )


def most_information(offsets: np.ndarray, codes: np.ndarray, curves: ItemCurves, quadrature: Quadrature) -> np.ndarray:
    """Upper bounds (N,) of the information on z in each person's answers; 0 if they are certainly too few."""
    slope = _STEEPER * curves.sd * curves.slope
    steepest = float((0.25 * slope**2).max(initial=0.0))
    needed = least_information(quadrature) / max(steepest, 1e-12)
    bound = np.empty(offsets.size - 1)
    run(
        narrow.most_information, offsets, codes, slope, int(needed), bound,
        work=float(codes.size),
    )  # fmt: skip
    return bound


def least_information(quadrature: Quadrature) -> float:
    """Information on z with which a posterior may be too narrow for the grid."""
    return float(1.0 / (narrow.RESOLVED * quadrature.distance) ** 2 - 1.0)


def group_starts(offsets: np.ndarray, n_groups: int) -> np.ndarray:
    """Cut persons into groups with about as many answers each: first person of each group and N, (G + 1,) int64."""
    wanted = np.linspace(0, offsets[-1], n_groups + 1)
    starts = np.searchsorted(offsets, wanted, side="left").astype(np.int64)
    starts[0], starts[-1] = 0, offsets.size - 1
    return np.maximum.accumulate(starts)
