"""The complete-data scores of one person as a few numbers per parameter.

Scores are smooth functions of ability. Their covariance under a posterior is the sum of products of their coefficients
in the polynomials that are orthonormal under it, the constant left out. A few polynomials hold all of it: what the k-th
adds falls like (s / 2) ** (2 k) / k! with s = slope * posterior SD, until the poles of the logistic function, at +-i pi
from the item's difficulty in units of 1 / slope, let it fall no faster than exp(-2 pi sqrt(2 k + 1) / s) (the Hermite
coefficients of a function with a pole at that distance; Boyd 1984).
"""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.expectation import add_answers, normalise
from irt_engine.kernels.jit import LANES, part

POLYNOMIALS = 32

# Nodes with less of the posterior are left out.
_NEGLIGIBLE = 1e-8
# Up to this degree the recurrence alone keeps the polynomials orthogonal.
_STABLE = 5
# Nodes and polynomials are taken so many at a time.
_STRIDE = 4


@part
def _window(posterior):
    """First node and end of the nodes that hold the posterior, a multiple of `_STRIDE`."""
    first, end = 0, posterior.size
    while posterior[first] < _NEGLIGIBLE:
        first += 1
    while posterior[end - 1] < _NEGLIGIBLE:
        end -= 1
    length = min((end - first + _STRIDE - 1) // _STRIDE * _STRIDE, posterior.size)
    first = min(first, posterior.size - length)
    return first, first + length


@part
def _orthonormal(posterior, nodes, first, end, slope, negligible, work, weighted):
    """Posterior times the orthonormal polynomials 1..K, by Stieltjes' recurrence (Gautschi 2004, section 2.2).

    :param slope: the steepest of the items answered.
    :param negligible: what a polynomial may add to the covariance, relatively, and be left out.
    :param work: (3 + K, Q), scratch.
    :param weighted: (2 K, Q), written between `first` and `end`: row k - 1 for polynomial k, row K + k - 1 the same
        times the node.

    Return how many polynomials are needed, and carried by the nodes.
    """
    before, here, after = work[0], work[1], work[2]
    for q in range(first, end):
        before[q], here[q] = 0.0, 1.0
    norm = 0.0
    spread = 0.0
    term = 1.0
    for k in range(POLYNOMIALS):
        centre = 0.0
        for q in range(first, end):
            centre += posterior[q] * nodes[q] * here[q] * here[q]
        square = 0.0
        for q in range(first, end):
            after[q] = (nodes[q] - centre) * here[q] - norm * before[q]
        if k >= _STABLE:
            _orthogonalise(after, posterior, work[3 : 3 + k], first, end)
        for q in range(first, end):
            square += posterior[q] * after[q] * after[q]
        norm = np.sqrt(square)
        if k == 0:
            spread = slope * norm
        term *= (0.5 * spread) ** 2 / (k + 1)
        pole = np.exp(-2.0 * np.pi * np.sqrt(2.0 * k + 1.0) / max(spread, 1e-3))
        # So small only where the nodes are used up.
        if not norm > 1e-4 * spread / slope or (k > 2 and term < negligible and pole < negligible):
            return k
        for q in range(first, end):
            before[q] = here[q]
            here[q] = after[q] / norm
            work[3 + k, q] = here[q]
            weighted[k, q] = posterior[q] * here[q]
            weighted[POLYNOMIALS + k, q] = weighted[k, q] * nodes[q]
    return POLYNOMIALS


@part
def _orthogonalise(vector, posterior, others, first, end):
    """Take out of `vector` (Q,) its parts along the constant and `others` (k, Q), which rounding brings in."""
    constant = 0.0
    for q in range(first, end):
        constant += posterior[q] * vector[q]
    for q in range(first, end):
        vector[q] -= constant
    for k in range(others.shape[0]):
        along = 0.0
        for q in range(first, end):
            along += posterior[q] * others[k, q] * vector[q]
        for q in range(first, end):
            vector[q] -= along * others[k, q]


@part
def _gather(table, codes, start, stop, first, end, scores):
    """scores[q, i] = table[answer i, first + q]: answers side by side, padded with zeros to a multiple of `LANES`."""
    n = stop - start
    width = (n + LANES - 1) // LANES * LANES
    for i in range(n):
        row = table[codes[start + i]]
        for q in range(end - first):
            scores[q, i] = row[first + q]
    for q in range(end - first):
        for i in range(n, width):
            scores[q, i] = 0.0
    return width


@part
def _combine(weights, scores, first, end, width, sums):
    """sums[i] = sum over nodes of weights[q] * scores[q, i], for i < width."""
    for i in range(width):
        sums[i] = 0.0
    for q in range(0, end - first, _STRIDE):
        w0, w1, w2, w3 = weights[first + q], weights[first + q + 1], weights[first + q + 2], weights[first + q + 3]
        s0, s1, s2, s3 = scores[q], scores[q + 1], scores[q + 2], scores[q + 3]
        for i in range(width):
            sums[i] += (w0 * s0[i] + w1 * s1[i]) + (w2 * s2[i] + w3 * s3[i])


@part
def _append(sums, used, codes, start, stop, column, parameter, coefficients, columns, slots, n):
    """Copy the sums (K, n) of those answers whose item's `parameter` is free; return the number of columns then."""
    for i in range(stop - start):
        place = column[codes[start + i] >> 1, parameter]
        slots[parameter, i] = n if place >= 0 else -1
        if place >= 0:
            for k in range(used):
                coefficients[k, n] = sums[k, i]
            columns[n] = place
            n += 1
    return n


@part
def person_scores(
    codes, start, stop, table, slope, nodes, z, log_weights, sd, by_intercept, by_guessing, negligible, column,
    shared, posterior, work, weighted, scores, sums, slots, coefficients, columns,
):  # fmt: skip
    """Coefficients of one person's scores: those by the parameter `columns[i]` are `coefficients[:, i]`.

    :param negligible: what a polynomial may add to the covariance, relatively, and be left out.
    :param column: (J, 3) int64, column of each item parameter; -1 not free, -2 (slopes) that of the common slope.
        Columns ascend by item within a parameter, those of a come before those of d, then c, then the shared ones.
    :param shared: (3,) int64, columns of common slope, latent mean and log SD, or -1.
    :param posterior: (Q,), `work` (3 + K, Q), `weighted` (2 K, Q), `scores` (Q, n + LANES), `sums` (K, n + LANES):
        scratch.
    :param slots: (3, n) int64, written: where in `columns` each parameter of the item answered is, or -1.
    :param coefficients: (K, m) and `columns` (m,), written.

    Return the number of columns, which ascend, and of polynomials, rounded up to a multiple of 4: the last may be 0.
    """
    for q in range(posterior.size):
        posterior[q] = log_weights[q]
    add_answers(posterior, table, codes, start, stop)
    normalise(posterior)
    first, end = _window(posterior)
    steepest = 0.1
    for k in range(start, stop):
        steepest = max(steepest, abs(slope[codes[k] >> 1]))
    used = _orthonormal(posterior, nodes, first, end, steepest, negligible, work, weighted)
    n = 0
    for parameter in range(3):
        if parameter == 2 and by_guessing.shape[0] == 0:
            slots[2] = -1
            continue
        if parameter != 1:
            width = _gather(by_guessing if parameter == 2 else by_intercept, codes, start, stop, first, end, scores)
        offset = POLYNOMIALS if parameter == 0 else 0
        for k in range(used):
            _combine(weighted[offset + k], scores, first, end, width, sums[k])
            if parameter == 0 and shared[0] >= 0:
                work[0, k] = _common(sums[k], codes, start, stop, column)
        n = _append(sums, used, codes, start, stop, column, parameter, coefficients, columns, slots, n)
    n = _append_shared(weighted, first, end, z, sd, used, work[0], shared, coefficients, columns, n)
    rounded = (used + _STRIDE - 1) // _STRIDE * _STRIDE
    for k in range(used, rounded):
        for i in range(n):
            coefficients[k, i] = 0.0
    return n, rounded


@part
def _common(sums, codes, start, stop, column):
    """Sum over the answers to items with the common slope."""
    total = 0.0
    for i in range(start, stop):
        if column[codes[i] >> 1, 0] == -2:
            total += sums[i - start]
    return total


@part
def _append_shared(weighted, first, end, z, sd, used, common, shared, coefficients, columns, n):
    """Append the scores of common slope (`common` (K,)), latent mean and log SD; return the number of columns."""
    for parameter in range(3):
        if shared[parameter] < 0:
            continue
        for k in range(used):
            total = common[k] if parameter == 0 else 0.0
            if parameter > 0:
                for q in range(first, end):
                    total += weighted[k, q] * (z[q] / sd if parameter == 1 else z[q] * z[q])
            coefficients[k, n] = total
        columns[n] = shared[parameter]
        n += 1
    return n
