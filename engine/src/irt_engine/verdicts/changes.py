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
    responses, n_items = bank.responses, bank.model.n_items
    curves = np.stack(bank.model.items(bank.fit.evaluation.x), axis=1)
    starts, *answers = _by_item(responses)
    shared = (starts, *answers, _edges(answers[2]), curves, bank.fit.persons)
    n_periods = shared[4].size + 1
    sums = np.empty((n_items, n_periods, 2))
    run(kernels.sum_by_period, *shared, sums, work=60.0 * len(responses))
    changed = np.zeros(n_items, bool)
    # An item that changed is no measure of what the others have in common: look again without it.
    for _ in range(_LOOKS):
        sums[changed] = 0.0
        found, since = np.empty((n_items, 5)), np.empty(n_items, np.int64)
        run(
            kernels.scan, *shared, sums, sums.sum(axis=0), _LEAST_INFORMATION, _TRIM, found, since,
            work=100.0 * len(responses),
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


def _by_item(responses: Responses) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Those answers that have a time, by item: starts (J + 1,), persons, whether right, times (n,)."""
    times = responses.times
    assert times is not None  # noqa: S101
    counts = np.bincount(responses.codes[times != NO_TIME] >> 1, minlength=responses.n_items)
    starts = np.concatenate([[0], np.cumsum(counts)])
    n = int(starts[-1])
    persons, right, moments = np.empty(n, np.int32), np.empty(n, np.uint8), np.empty(n, np.int64)
    kernels.arrange(responses.offsets, responses.codes, times, NO_TIME, starts, persons, right, moments)
    return starts, persons, right, moments


def _edges(moments: np.ndarray) -> np.ndarray:
    """Times that divide the answers into periods with about as many answers each."""
    n_periods = min(max(moments.size // _PERIOD, 1), _MOST_PERIODS)
    ordered = np.sort(moments[:: max(moments.size // _SAMPLE, 1)])
    at = np.arange(1, n_periods) * ordered.size // n_periods
    edges: np.ndarray = np.unique(ordered[at])
    return edges
