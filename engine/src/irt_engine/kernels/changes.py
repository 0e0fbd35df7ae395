"""Scores of answers in the order of their time, to find items whose difficulty changed."""

from __future__ import annotations

import math

import numpy as np

from irt_engine.kernels.exponential import exp
from irt_engine.kernels.jit import kernel, part

# Nodes and weights of the Gauss-Hermite rule of three points for N(0, 1).
_REACH, _OUTER, _INNER = math.sqrt(3.0), 1.0 / 6.0, 2.0 / 3.0
# Below this share of the product of its diagonal, a determinant is rounding error.
_SINGULAR = 1e-10


@kernel
def timed_counts(codes, times, no_time, n_items):
    """Answers with a time, by item: (J,) int64."""
    counts = np.zeros(n_items, np.int64)
    for k in range(codes.size):
        counts[codes[k] >> 1] += times[k] != no_time
    return counts


@kernel
def arrange(offsets, codes, times, no_time, first, starts, persons, right, moments):
    """The answers that have a time by item, and within an item by person.

    :param offsets: (N + 1,) int64, `codes` (n,) int32 and `times` (n,) int64: the answers by person.
    :param first: number of the first item; J items from there on are arranged.
    :param starts: (J + 1,) int64, first entry of each of these items in `persons` int32, `right` uint8 and `moments`
        int64, which are written.
    """
    cursor = starts[:-1].copy()
    for p in range(offsets.size - 1):
        for k in range(offsets[p], offsets[p + 1]):
            j = (codes[k] >> 1) - first
            if j < 0 or j >= cursor.size or times[k] == no_time:
                continue
            at = cursor[j]
            persons[at], right[at], moments[at] = p, codes[k] & 1, times[k]
            cursor[j] += 1


@part
def _score(is_right, a, d, c, theta, sd, found):
    """Score of one answer by the intercept and its information, given the posterior N(theta, sd^2) of the ability.

    :param found: (5,), written: E[s], E[s x], E[w], E[w x] and E[w x^2] over abilities x, where s is the derivative of
        log P(y | x) by the intercept and w its information.
    """
    found[:] = 0.0
    for q in range(3):
        x = theta + (q - 1) * _REACH * sd
        weight = _INNER if q == 1 else _OUTER
        logistic = 1.0 / (1.0 + exp(-(a * x + d)))
        known = (1.0 - c) * logistic / (c + (1.0 - c) * logistic)
        s = weight * (known * (1.0 - logistic) if is_right else -logistic)
        w = weight * known * logistic * (1.0 - logistic)
        found[0] += s
        found[1] += s * x
        found[2] += w
        found[3] += w * x
        found[4] += w * x * x


@kernel
def sum_by_period(part, parts, starts, persons, right, moments, edges, curves, abilities, sums):
    """Sums of scores and information of each item's answers by period.

    :param edges: (B - 1,) int64, ascending: times at which all periods but the first begin.
    :param curves: (J, 3): slope, intercept and guessing. `abilities` (N, 3): its last two are mean and SD.
    :param sums: (J, B, 2), written.
    """
    own = np.empty(5)
    n_items = starts.size - 1
    for j in range(part * n_items // parts, (part + 1) * n_items // parts):
        sums[j] = 0.0
        for i in range(starts[j], starts[j + 1]):
            p = persons[i]
            _score(right[i], curves[j, 0], curves[j, 1], curves[j, 2], abilities[p, 1], abilities[p, 2], own)
            b = np.searchsorted(edges, moments[i], side="right")
            sums[j, b, 0] += own[0]
            sums[j, b, 1] += own[2]


@kernel
def scan(
    part, parts, starts, persons, right, moments, edges, curves, abilities, sums, total, least, trim, found, since
):  # fmt: skip
    """The most likely change of each item's intercept (see `verdicts.changes`).

    :param total: (B, 2), the sum of `sums` over items; other arguments as in `sum_by_period`.
    :param least: information, and `trim` share of it, that the answers before and after a change have at least.
    :param found: (J, 5), written: the statistic, the intercept before minus that after, the shares of the information
        before the first and the last change that were tried, and the statistic of a steady trend; the first is NaN
        where no change was tried.
    :param since: (J,) int64, written: time of the first answer after the change.
    """
    n_items = starts.size - 1
    for j in range(part * n_items // parts, (part + 1) * n_items // parts):
        start, end = starts[j], starts[j + 1]
        order = np.argsort(moments[start:end], kind="mergesort")
        scores = _scores_in_order(order, start, persons, right, moments, edges, curves[j], abilities, sums[j], total)
        # What the other items have in common is an estimate.
        noise = 1.0 + _share(sums[j], total)
        _scan_item(scores, moments[start:end][order], noise, least, trim, found[j], since[j : j + 1])


@part
def _scores_in_order(order, start, persons, right, moments, edges, curve, abilities, own_sums, total):
    """(n, 5) as of `_score`, without what the other items' answers of the same period have in common."""
    scores = np.empty((order.size, 5))
    for k in range(order.size):
        i = start + order[k]
        p = persons[i]
        _score(right[i], curve[0], curve[1], curve[2], abilities[p, 1], abilities[p, 2], scores[k])
        b = np.searchsorted(edges, moments[i], side="right")
        others = total[b, 1] - own_sums[b, 1]
        if others > 0.0:
            shift = (total[b, 0] - own_sums[b, 0]) / others
            scores[k, 0] -= scores[k, 2] * shift
            scores[k, 1] -= scores[k, 3] * shift
    return scores


@part
def _share(own, total):
    """Information of an item's answers per that of the other items' answers of the same periods."""
    ratio, information = 0.0, 0.0
    for b in range(own.shape[0]):
        others = total[b, 1] - own[b, 1]
        if others > 0.0:
            ratio += own[b, 1] * own[b, 1] / others
        information += own[b, 1]
    return ratio / information if information > 0.0 else 0.0


@part
def _statistic(scores, by_d, by_a, own, sums, scale):
    """Score of a direction in which answers may depart from the model, and its variance.

    :param scores: sum of the scores, each times its answer's value of the direction; `by_d`, `by_a` and `own`, likewise
        of w, of w x and, times the value once more, of w. Slope and intercept are estimated, so they are projected out.
    """
    determinant = sums[2] * sums[4] - sums[3] ** 2
    along_d, along_a = by_d / sums[2], 0.0
    if determinant > _SINGULAR * sums[2] * sums[4]:
        along_d = (by_d * sums[4] - by_a * sums[3]) / determinant
        along_a = (by_a * sums[2] - by_d * sums[3]) / determinant
    score = scores - along_d * sums[0] - along_a * sums[1]
    return score, scale * (own - along_d * by_d - along_a * by_a)


@part
def _trend(scores, moments, sums, scale):
    """The statistic of a steady trend over time."""
    first, span = moments[0], moments[-1] - moments[0]
    if span <= 0:
        return 0.0
    s, by_d, by_a, own = 0.0, 0.0, 0.0, 0.0
    for k in range(moments.size):
        t = (moments[k] - first) / span
        s += t * scores[k, 0]
        by_d += t * scores[k, 2]
        by_a += t * scores[k, 3]
        own += t * t * scores[k, 2]
    score, variance = _statistic(s, by_d, by_a, own, sums, scale)
    return score * score / variance if variance > 0.0 else 0.0


@part
def _scan_item(scores, moments, noise, least, trim, found, since):
    found[:] = np.nan
    since[0] = 0
    sums, squares = np.zeros(5), 0.0
    for k in range(scores.shape[0]):
        squares += scores[k, 0] ** 2
        sums += scores[k]
    if not sums[2] > 0.0 or not squares > 0.0:
        return
    # An answer tells less than w of the intercept, as the ability is not known.
    scale = noise * squares / sums[2]
    margin = max(least, trim * sums[2])
    before, best = np.zeros(5), -1.0
    for k in range(scores.shape[0] - 1):
        before += scores[k]
        if min(before[2], sums[2] - before[2]) < margin or moments[k] == moments[k + 1]:
            continue
        score, variance = _statistic(before[0], before[2], before[3], before[2], sums, scale)
        if not variance > 0.0:
            continue
        found[3] = before[2] / sums[2]
        if best < 0.0:
            found[2] = found[3]
        if score * score / variance > best:
            best = score * score / variance
            found[0], found[1], since[0] = best, score / variance, moments[k + 1]
    found[4] = _trend(scores, moments, sums, scale)
