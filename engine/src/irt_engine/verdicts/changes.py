"""Items whose difficulty changed within the answers: an edited question, or one whose answer became known.

For each item the scores of its answers by the intercept are added up in the order of time, without what the other
items' answers of the same period have in common, since users may be better or worse prepared at times. If nothing
changed, the sum before any moment is 0 but for noise; its largest square over its variance is the score test of a
change at an unknown moment (Andrews 1993). The variance allows for the estimated slope and intercept. The probability
of such a value is that of Vostrikova (1981), as in Csorgo & Horvath (1997, eq. 1.3.26).

A steady trend is not a change: students may learn one topic over weeks, and its items become easier all the while. So
the change must explain more than a linear trend in time does.

Over the whole bank, the probability that any unchanged item is reported is at most `FALSE_ALARMS` (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from irt_engine.answers.responses import Responses
from irt_engine.answers.times import NO_TIME
from irt_engine.estimation.fitting import FittedBank
from irt_engine.kernels import changes as kernels
from irt_engine.kernels.threads import run

FALSE_ALARMS = 0.05
# Information on the intercept that the answers before and after a change hold at least, as of 20 answers at P = 1/2;
# and the least share of the item's.
_LEAST_INFORMATION, _TRIM = 5.0, 0.05
# Answers of the bank per period, and the most periods.
_PERIOD, _MOST_PERIODS = 1000, 64
_LOOKS = 5
# Times that are looked at to divide them into periods.
_SAMPLE = 100_000
# Answers that are arranged by item at once.
_BLOCK_ANSWERS = 50_000_000


@dataclass(frozen=True)
class Change:
    """When an item changed (microseconds since 1970, UTC), and the probability of such a value without a change."""

    since: int
    probability: float


@dataclass(frozen=True)
class Changes:
    """The most likely change of each of J items, (J,) each.

    :ivar significant: whether the item changed.
    :ivar probability: that a value as large comes up where nothing changed; NaN for items with too few answers.
    :ivar of_intercept: the intercept after the change minus that before.
    :ivar since: time of the first answer after it, in microseconds since 1970, UTC.
    """

    significant: np.ndarray
    probability: np.ndarray
    of_intercept: np.ndarray
    since: np.ndarray

    def of_item(self, row: int) -> Change:
        return Change(int(self.since[row]), float(self.probability[row]))

    def of_b(self, a: np.ndarray) -> np.ndarray:
        """The change of the difficulty b, given the slopes."""
        with np.errstate(divide="ignore", invalid="ignore"):
            by: np.ndarray = -self.of_intercept / a
        return by


def changes_of(bank: FittedBank) -> Changes:
    """The changes of the items of a bank whose answers have times (`Responses.times`)."""
    answers, n_items = _ByItem(bank.responses), bank.model.n_items
    curves = np.stack(bank.model.items(bank.fit.evaluation.x), axis=1)
    sums = np.empty((n_items, answers.edges.size + 1, 2))
    for items, own in answers.blocks():
        given = (*own, answers.edges, curves[items], bank.fit.persons)
        run(kernels.sum_by_period, *given, sums[items], work=60.0 * own[1].size)
    changed = np.zeros(n_items, bool)
    # An item that changed is no measure of what the others have in common: look again without it.
    for _ in range(_LOOKS):
        sums[changed] = 0.0
        total = sums.sum(axis=0)
        found, since = np.empty((n_items, 5)), np.empty(n_items, np.int64)
        for items, own in answers.blocks():
            given = (*own, answers.edges, curves[items], bank.fit.persons)
            run(
                kernels.scan, *given, sums[items], total, _LEAST_INFORMATION, _TRIM, found[items], since[items],
                work=100.0 * own[1].size,
            )  # fmt: skip
        probability = np.array([change_probability(*row) for row in found[:, [0, 2, 3]].tolist()])
        significant = significant_by_holm(probability, FALSE_ALARMS)
        significant &= found[:, 0] > found[:, 4]
        if not np.any(significant & ~changed):
            break
        changed |= significant
    return Changes(significant, probability, -found[:, 1], since)


def change_probability(statistic: float, first: float, last: float) -> float:
    """The probability of at least this value of the statistic if nothing changed.

    :param first: as `last`, share of the information before the first and the last moment tried.
    """
    if not math.isfinite(statistic):
        return math.nan
    x = math.sqrt(statistic)
    one_moment = math.erfc(x / math.sqrt(2.0))
    if x <= 1.0:
        return 1.0
    span = math.log(last * (1.0 - first) / (first * (1.0 - last)))
    density = x * math.exp(-0.5 * statistic) / math.sqrt(2.0 * math.pi)
    return min(1.0, max(one_moment, density * (span - span / statistic + 4.0 / statistic)))


def significant_by_holm(probability: np.ndarray, rate: float) -> np.ndarray:
    """Which of some tests are significant, (n,) bool, with any false one among them at most at this rate.

    :param probability: of each test; NaN stands for no test.
    """
    tested = np.flatnonzero(np.isfinite(probability))
    ordered = tested[np.argsort(probability[tested], kind="stable")]
    above = np.flatnonzero(probability[ordered] > rate / np.arange(ordered.size, 0, -1))
    significant = np.zeros(probability.size, bool)
    significant[ordered[: above[0] if above.size else ordered.size]] = True
    return significant


_Block = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class _ByItem:
    """The answers that have a time, by item: some of the items at once, since each answer takes 13 bytes here.

    :ivar edges: times that divide the answers into periods.
    """

    def __init__(self, responses: Responses) -> None:
        assert responses.times is not None  # noqa: S101
        self._responses, self._times = responses, responses.times
        counts = kernels.timed_counts(responses.codes, responses.times, NO_TIME, responses.n_items)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._only = self._arranged(slice(0, responses.n_items)) if self._starts[-1] <= _BLOCK_ANSWERS else None
        self.edges = _edges(_some(self._times) if self._only is None else self._only[3], int(self._starts[-1]))

    def blocks(self) -> Iterator[tuple[slice, _Block]]:
        """Some items, and their answers: starts (items + 1,), persons, whether right, times (n,)."""
        n_items = self._responses.n_items
        if self._only is not None:
            yield slice(0, n_items), self._only
            return
        first = 0
        while first < n_items:
            most = self._starts[first] + _BLOCK_ANSWERS
            end = max(first + 1, int(np.searchsorted(self._starts, most, side="right")) - 1)
            yield slice(first, end), self._arranged(slice(first, end))
            first = end

    def _arranged(self, items: slice) -> _Block:
        responses, starts = self._responses, self._starts[items.start : items.stop + 1]
        starts = starts - starts[0]
        n = int(starts[-1])
        persons, right, moments = np.empty(n, np.int32), np.empty(n, np.uint8), np.empty(n, np.int64)
        kernels.arrange(
            responses.offsets, responses.codes, self._times, NO_TIME, items.start, starts, persons, right, moments
        )  # fmt: skip
        return starts, persons, right, moments


def _some(times: np.ndarray) -> np.ndarray:
    """Some of the times, without those that are not known."""
    some = times[:: max(times.size // _SAMPLE, 1)]
    known: np.ndarray = some[some != NO_TIME]
    return known


def _edges(moments: np.ndarray, n_answers: int) -> np.ndarray:
    """Times that divide the answers into periods with about as many answers each."""
    n_periods = min(max(n_answers // _PERIOD, 1), _MOST_PERIODS)
    ordered = np.sort(moments[:: max(moments.size // _SAMPLE, 1)])
    at = np.arange(1, n_periods) * ordered.size // n_periods
    edges: np.ndarray = np.unique(ordered[at])
    return edges
