"""The complete-data scores of one person as a few numbers per parameter.

Scores are smooth functions of ability. Their covariance under a posterior is the sum of products of their coefficients
in the polynomials that are orthonormal under it, the constant left out. A few polynomials suffice: the contribution of
the k-th falls like (s / 2) ** (2 k) / k! with s = slope * posterior SD, until the poles of the logistic function, at
+-i pi from the item's difficulty in units of 1 / slope, slow it down to exp(-2 pi sqrt(2 k + 1) / s) (the Hermite
coefficients of a function with a pole at that distance; Boyd 1984).
"""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.expectation import infer
from irt_engine.kernels.jit import part
from irt_engine.kernels.products import COLUMNS, ROWS, weigh_rows

POLYNOMIALS = 32

# Nodes with less of the posterior are skipped.
_NEGLIGIBLE = 1e-8
# Up to this degree the recurrence alone keeps the polynomials orthogonal.
_STABLE = 5


@part
def _narrowed(posterior, first, end):
    """Narrow `first` and `end` to the nodes that hold the posterior."""
    while posterior[first] < _NEGLIGIBLE:
        first += 1
    while posterior[end - 1] < _NEGLIGIBLE:
        end -= 1
    return first, end


@part
def _orthonormal(posterior, nodes, first, end, slope, negligible, work, weighted):
    """Posterior times the orthonormal polynomials 1..K, by Stieltjes' recurrence (Gautschi 2004, section 2.2).

    :param slope: the steepest of the answered items.
    :param negligible: relative contribution to the covariance below which a polynomial is left out.
    :param work: (3 + K, Q), scratch.
    :param weighted: (Q, 2 K), written between `first` and `end`: column k - 1 for polynomial k.

    Return the number of polynomials that are needed and that the nodes can represent.
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
        # So small only if the nodes can represent no more.
        if not norm > 1e-4 * spread / slope or (k > 2 and term < negligible and pole < negligible):
            return k
        for q in range(first, end):
            before[q] = here[q]
            here[q] = after[q] / norm
            work[3 + k, q] = here[q]
            weighted[q, k] = posterior[q] * here[q]
    return POLYNOMIALS


@part
def _orthogonalise(vector, posterior, others, first, end):
    """Remove the components of `vector` (Q,) along the constant and `others` (k, Q), which come from rounding."""
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
def _times_nodes(weighted, nodes, first, end, used):
    """Append the polynomials times the node to `weighted`; return their first column."""
    offset = COLUMNS // 2 if used <= COLUMNS // 2 else (used + COLUMNS - 1) // COLUMNS * COLUMNS
    for q in range(first, end):
        for k in range(used):
            weighted[q, offset + k] = weighted[q, k] * nodes[q]
    return offset


@part
def _weigh(table, codes, start, stop, first, end, weighted, columns, sums):
    """sums[i, k] = sum over nodes of weighted[q, k] * table[answer i, q], for k < columns, and some beyond."""
    for i in range(0, stop - start, ROWS):
        for k in range(0, columns, COLUMNS):
            weigh_rows(table, codes, start, stop, i, first, end, weighted, k, sums)


@part
def _append(sums, offset, used, codes, start, stop, column, parameter, coefficients, columns, slots, n):
    """Copy the sums, (n, 2 K) from `offset` on, of the answers whose item's `parameter` is free.

    Return the new number of columns.
    """
    for i in range(stop - start):
        place = column[codes[start + i] >> 1, parameter]
        slots[parameter, i] = n if place >= 0 else -1
        if place >= 0:
            for k in range(used):
                coefficients[k, n] = sums[i, offset + k]
            columns[n] = place
            n += 1
    return n


@part
def person_scores(
    codes, start, stop, window, table, slope, nodes, z, log_weights, sd, by_intercept, by_guessing, negligible, column,
    shared, posterior, work, weighted, sums, slots, coefficients, columns,
):  # fmt: skip
    """Coefficients of one person's scores: `coefficients[:, i]` are those by the parameter `columns[i]`.

    :param window: (2,) int64, first node and end of the nodes used for the posterior.
    :param negligible: relative contribution to the covariance below which a polynomial is left out.
    :param column: (J, 3) int64, column of each item parameter; -1 if not free, -2 for slopes that are the common one.
        Columns ascend by item within a parameter; the order is a, d, c, shared.
    :param shared: (3,) int64, columns of common slope, latent mean and log SD, or -1.
    :param posterior: (Q,), `work` (3 + K, Q), `weighted` (Q, 2 K), `sums` (n + ROWS, 2 K): scratch.
    :param slots: (3, n) int64, written: position in `columns` of each parameter of the answered item, or -1.
    :param coefficients: (K, m) and `columns` (m,), written.

    Return the numbers of columns, which ascend, and of polynomials.
    """
    infer(posterior, log_weights, table, codes, start, stop, window[0], window[1])
    first, end = _narrowed(posterior, window[0], window[1])
    steepest = 0.1
    for k in range(start, stop):
        steepest = max(steepest, abs(slope[codes[k] >> 1]))
    used = _orthonormal(posterior, nodes, first, end, steepest, negligible, work, weighted)
    offset = _times_nodes(weighted, nodes, first, end, used)
    _weigh(by_intercept, codes, start, stop, first, end, weighted, offset + used, sums)
    _common(sums, offset, used, codes, start, stop, column, shared, work[0])
    n = _append(sums, offset, used, codes, start, stop, column, 0, coefficients, columns, slots, 0)
    n = _append(sums, 0, used, codes, start, stop, column, 1, coefficients, columns, slots, n)
    if by_guessing.shape[0] > 0:
        _weigh(by_guessing, codes, start, stop, first, end, weighted, used, sums)
        n = _append(sums, 0, used, codes, start, stop, column, 2, coefficients, columns, slots, n)
    else:
        slots[2] = -1
    n = _append_shared(weighted, first, end, z, sd, used, work[0], shared, coefficients, columns, n)
    return n, used


@part
def _common(sums, offset, used, codes, start, stop, column, shared, total):
    """total[k] = sum over the answers to items with the common slope, if there is one, of sums[i, offset + k]."""
    for k in range(used):
        total[k] = 0.0
    if shared[0] < 0:
        return
    for i in range(start, stop):
        if column[codes[i] >> 1, 0] == -2:
            for k in range(used):
                total[k] += sums[i - start, offset + k]


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
                    total += weighted[q, k] * (z[q] / sd if parameter == 1 else z[q] * z[q])
            coefficients[k, n] = total
        columns[n] = shared[parameter]
        n += 1
    return n
