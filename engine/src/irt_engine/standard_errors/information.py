"""Observed information of the estimates, I = I_complete - I_missing (Louis 1982).

I_complete is minus the Hessian of the expected complete-data log-likelihood and log-prior, block diagonal by item;
I_missing the posterior covariance of the complete-data scores. For the latent means and SDs the complete data are the
abilities themselves.
"""

from __future__ import annotations

import itertools

import numpy as np

from irt_engine.cluster import connection, steps
from irt_engine.estimation.objective import Evaluation, Objective
from irt_engine.estimation.posteriors import Share, group_starts
from irt_engine.kernels import information, items, tables
from irt_engine.kernels.jit import padded
from irt_engine.kernels.memory import scattered_zeros
from irt_engine.kernels.threads import run
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD

_GROUPS = 8
_GROUP_BYTES = 256 * 2**20
# Elementary steps per answer, roughly.
_WORK = 1000.0
# A polynomial that adds less than this to the covariance of the scores is left out: with 1e-5, SEs are right to 0.1 %.
# With guessing, nearly all of the complete information is missing along some directions, so nothing may be left out.
_FINE, _COARSE, _FEW_ANSWERS, _FINEST = 1e-8, 1e-5, 200_000, 1e-12
# Entries of a symmetric block of an item: (aa, ad, dd, ac, dc, cc).
_ENTRIES = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))


def _columns(free: np.ndarray, n_items: int) -> np.ndarray:
    """Number the free parameters, (J + G, 3): first a of all items, then d, then logit c, then those of no item."""
    column = np.full(free.shape, -1, np.int64)
    n = 0
    for parameters, chosen in ((column[:n_items].T, free[:n_items].T), (column[n_items:], free[n_items:])):
        count = int(chosen.sum())
        parameters[chosen] = np.arange(n, n + count)
        n += count
    return column


class Information:
    """The observed information at an evaluation, by parts.

    :ivar column: (J + G, 3) int64, number of each free parameter, -1 for others.
    :ivar complete: (J, 6), I_complete of single items.
    :ivar n_persons: number of persons.
    """

    def __init__(self, objective: Objective, evaluation: Evaluation) -> None:
        self.model, self._evaluation = objective.model, evaluation
        self.n_persons = evaluation.n_persons
        self._objective = objective
        self._shares = objective.shares(evaluation.x)
        self.n_answers = sum(share.codes.size for _, share in self._shares)
        self.column = _columns(self._free(), self.model.n_items)
        self.complete = self._complete_blocks()
        self._kernel_arguments = [self._tables(g, share) for g, share in self._shares]

    def _free(self) -> np.ndarray:
        """The free parameters, without those of distributions that are not normal (see `bordered`)."""
        n = self.model.n_items
        free: np.ndarray = self.model.free.copy()
        if self.model.is_shaped:
            common = free[n, COMMON_SLOPE]
            free[n:] = False
            free[n, COMMON_SLOPE] = common
        return free

    @property
    def size(self) -> int:
        return int((self.column >= 0).sum())

    @property
    def places(self) -> np.ndarray:
        """Columns of each item's a, d and logit c, (J, 3); for 1PL items, a is the common slope."""
        places: np.ndarray = self.own.copy()
        places[self.model.common, 0] = self.column[self.model.n_items, COMMON_SLOPE]
        return places

    @property
    def own(self) -> np.ndarray:
        """Columns of each item's own a, d and logit c, (J, 3)."""
        return self.column[: self.model.n_items]

    def _complete_blocks(self) -> np.ndarray:
        x, model = self._evaluation.x, self.model
        observed = np.zeros((model.n_items, 6))
        for part in self._evaluation.expected:
            own = np.empty((part.items.size, 6))
            run(
                items.observed_information, *(values[part.items] for values in model.items(x)), part.nodes,
                part.counts, own, work=10.0 * part.counts.size,
            )  # fmt: skip
            observed[part.items] += own
        blocks: np.ndarray = observed - self._objective.log_prior(x).hessian
        return blocks

    def _tables(self, g: int, share: Share) -> tuple[np.ndarray | float, ...]:
        x, model = self._evaluation.x, self.model
        answered = self._objective.populations[g].items
        curves = [values[answered] for values in model.items(x)]
        shaped = self._evaluation.expected[g].shaped
        mean, sd = model.latent(x, g) if shaped is None else shaped.placed(*model.latent(x, g))
        nodes = mean + sd * share.z
        shape = (2 * answered.size, nodes.size)
        table = scattered_zeros(shape, np.float64)
        by_intercept, by_guessing = (scattered_zeros(shape, np.float32) for _ in range(2))
        run(tables.fill_log_probability, *curves, nodes, table, work=10.0 * table.size)
        run(tables.fill_scores, *curves, nodes, by_intercept, by_guessing, work=10.0 * table.size)
        first = self.column[model.n_items]
        own = self.own[answered]
        own[model.common[answered], 0] = -1 if first[COMMON_SLOPE] < 0 else -2
        shared = self.column[model.n_items + g].copy()
        shared[COMMON_SLOPE] = first[COMMON_SLOPE]
        if not model.free[: model.n_items, 2].any():
            by_guessing = by_guessing[:0]
        negligible = _FINE if self.n_answers <= _FEW_ANSWERS else _COARSE
        if model.guesses.any():
            negligible = _FINEST
        return (
            table, curves[0], nodes, share.z, share.log_weights, sd, by_intercept, by_guessing, negligible, own, shared
        )  # fmt: skip

    def dense(self) -> np.ndarray:
        """The whole matrix (P, P); only the lower triangle is filled."""
        n = self.size
        n_groups = max(1, min(_GROUPS, _GROUP_BYTES // (4 * n * padded(n))))
        missing = scattered_zeros((n_groups, n, padded(n)), np.float32)
        for (_, share), arguments in zip(self._shares, self._kernel_arguments, strict=True):
            starts = group_starts(share.offsets, n_groups)
            if cluster := connection.current():
                held = cluster.hold(share.offsets, share.codes, starts)
                each = list(zip(_windows(share, starts), missing, strict=True))
                for g, total in enumerate(held.map(steps.missing_information, (arguments,), each)):
                    missing[g] = total
            else:
                run(
                    information.missing_information, share.offsets, share.codes, share.windows, starts, *arguments,
                    missing, work=_WORK * share.codes.size, parts=n_groups,
                )  # fmt: skip
        result: np.ndarray = -missing[:, :, :n].sum(axis=0, dtype=np.float64)
        places = self.places
        for entry, (i, j) in enumerate(_ENTRIES):
            found = (places[:, i] >= 0) & (places[:, j] >= 0)
            row, column = places[found, i], places[found, j]
            np.add.at(result, (np.maximum(row, column), np.minimum(row, column)), self.complete[found, entry])
        for place, value in self.latent_complete:
            result[place, place] += value
        return result

    @property
    def latent_complete(self) -> list[tuple[int, float]]:
        """Columns of the free latent means and log SDs, and their complete-data information."""
        # At the maximum z and z^2 have the posterior means 0 and 1 over all persons, by the equations for mean and SD.
        found = []
        for g, part in enumerate(self._evaluation.expected):
            n, (_, sd) = float(part.n_persons), self.model.latent(self._evaluation.x, g)
            for parameter, value in ((LATENT_MEAN, n / sd**2), (LOG_LATENT_SD, 2.0 * n)):
                place = int(self.column[self.model.n_items + g, parameter])
                found += [(place, value)] if place >= 0 else []
        return found

    @property
    def shared_complete(self) -> list[tuple[int, float]]:
        """The same for all free parameters that belong to no item."""
        place = int(self.column[self.model.n_items, COMMON_SLOPE])
        of_slope = float(self.complete[self.model.common, 0].sum())
        return [*([(place, of_slope)] if place >= 0 else []), *self.latent_complete]

    @property
    def complete_diagonal(self) -> np.ndarray:
        """Diagonal (P,) of the complete-data information in the form of Fisher scoring, which is positive."""
        diagonal = np.empty(self.size)
        own = self.own
        diagonal[own[own >= 0]] = self._evaluation.information[:, [0, 2, 5]][own >= 0]
        for place, value in self.shared_complete:
            diagonal[place] = value
        return np.maximum(diagonal, 1e-12)

    def scale_directions(self) -> np.ndarray:
        """Effect of a shift and of a stretch of the ability scale on the free parameters, (P, 2)."""
        directions = np.zeros((self.size, 2))
        slope = self._evaluation.x[: self.model.n_items, 0]
        for k, parameter in enumerate((1, 0)):
            place = self.own[:, parameter]
            directions[place[place >= 0], k] = slope[place >= 0]
        return directions

    def blocks_times(self, blocks: np.ndarray, vectors: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
        """Symmetric blocks (J, 6) at `places` (J, 3), by default the items' own parameters, times `vectors` (P, r)."""
        places = self.own if places is None else places
        result = np.zeros_like(vectors)
        for entry, (i, j) in enumerate(_ENTRIES):
            found = (places[:, i] >= 0) & (places[:, j] >= 0)
            weight = blocks[found, entry, None]
            np.add.at(result, places[found, i], weight * vectors[places[found, j]])
            if i != j:
                np.add.at(result, places[found, j], weight * vectors[places[found, i]])
        return result

    def complete_times(self, vectors: np.ndarray) -> np.ndarray:
        """I_complete times `vectors` (P, r)."""
        result = self.blocks_times(self.complete, vectors, self.places)
        for place, value in self.latent_complete:
            result[place] += value * vectors[place]
        return result

    def missing_times(self, vectors: np.ndarray, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """I_missing times `vectors` (P, r), and its blocks of single items (J, 6); from every `stride`-th person."""
        n_groups = _GROUPS
        image = np.zeros((n_groups, *vectors.shape))
        blocks = np.zeros((self.model.n_items, 6))
        taken = 0
        for (g, share), arguments in zip(self._shares, self._kernel_arguments, strict=True):
            answered = self._objective.populations[g].items
            own_blocks = np.zeros((n_groups, answered.size, 6))
            starts = group_starts(share.offsets, n_groups)
            taken += sum(-(-int(n) // stride) for n in np.diff(starts))
            if cluster := connection.current():
                shared = (stride, answered.size, arguments, np.ascontiguousarray(vectors))
                held = cluster.hold(share.offsets, share.codes, starts)
                each = list(zip(_windows(share, starts), image, strict=True))
                for g, (total, of_items) in enumerate(held.map(steps.missing_in_subspace, shared, each)):
                    image[g], own_blocks[g] = total, of_items
            else:
                run(
                    information.missing_in_subspace, share.offsets, share.codes, share.windows, starts, stride,
                    *arguments, np.ascontiguousarray(vectors), image, own_blocks,
                    work=_WORK * share.codes.size / stride, parts=n_groups,
                )  # fmt: skip
            blocks[answered] += own_blocks.sum(axis=0)
        scale = self.n_persons / taken
        return scale * image.sum(axis=0), scale * blocks


def _windows(share: Share, starts: np.ndarray) -> list[np.ndarray]:
    """The windows of each group's persons."""
    if share.windows.shape[0] == 1:
        return [share.windows] * (starts.size - 1)
    return [share.windows[first:end] for first, end in itertools.pairwise(starts)]
