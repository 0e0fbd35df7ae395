"""Missing information: posterior covariance of the complete-data scores, summed over persons (Louis 1982)."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.fisher_scores import POLYNOMIALS, person_scores
from irt_engine.kernels.jit import LANES, kernel, part
from irt_engine.kernels.products import COLUMNS, ROWS, add_products

# Products of a person's scores go straight into the rows of the matrix if these are at most this many times longer;
# otherwise they are formed side by side and then scattered over the rows.
_DENSE = 6


@part
def _longest_row(offsets, first, end):
    longest = 0
    for p in range(first, end):
        longest = max(longest, offsets[p + 1] - offsets[p])
    return longest


@part
def _add_wide(coefficients, columns, n, used, wide, total):
    """total[columns[i], j] += sum over k of coefficients[k, i] * wide[k, j], for j <= columns[i] and some beyond."""
    for k in range(used):
        for i in range(n):
            wide[k, columns[i]] = coefficients[k, i]
    for i in range(0, n, ROWS):
        for j in range(0, columns[min(i + ROWS, n) - 1] + 1, COLUMNS):
            add_products(coefficients, i, wide, used, total, columns, i, j)
    for k in range(used):
        for i in range(n):
            wide[k, columns[i]] = 0.0


@part
def _add_narrow(coefficients, columns, n, used, rows, places, total):
    """total[columns[i], columns[j]] += sum over k of coefficients[k, i] * coefficients[k, j], for j <= i."""
    for i in range(0, n, ROWS):
        end = min(i + ROWS, n)
        rows[:] = 0.0
        for j in range(0, end, COLUMNS):
            add_products(coefficients, i, coefficients, used, rows, places, 0, j)
        for r in range(end - i):
            target = total[columns[i + r]]
            for j in range(i + r + 1):
                target[columns[j]] += rows[r, j]


@part
def _scratch(longest, nodes):
    """Scratch of `fisher_scores.person_scores` for persons with up to `longest` answers."""
    width = (3 * longest + 3 + ROWS + LANES) // LANES * LANES
    posterior, work = np.empty(nodes), np.empty((3 + POLYNOMIALS, nodes))
    weighted = np.zeros((nodes, 2 * POLYNOMIALS), np.float32)
    sums = np.empty((longest + ROWS, 2 * POLYNOMIALS), np.float32)
    slots = np.full((3, longest), -1)
    return posterior, work, weighted, sums, slots, np.zeros((POLYNOMIALS, width), np.float32), np.zeros(width, np.int64)


@part
def _clear(coefficients, columns, n, used):
    """Clear what `add_products` reads beyond the n columns."""
    for i in range(n, n + ROWS):
        columns[i] = columns[n - 1]
        for k in range(used):
            coefficients[k, i] = 0.0


@kernel
def missing_information(
    group, groups, offsets, codes, windows, starts, table, slope, nodes, z, log_weights, sd, by_intercept,
    by_guessing, negligible, column, shared, total,
):  # fmt: skip
    """Sum over a group's persons of the posterior covariances of the scores by the free parameters.

    :param windows: (N, 2) int64, first node and end of the nodes used for each person's posterior; (1, 2) if they are
        the same for all.
    :param offsets: (N + 1,), `codes` (n,), `starts` (G + 1,), `table` (2 J, Q), `log_weights` (Q,): as in the E-step.
    :param z: (Q,), the `nodes` before mean and `sd` of the latent distribution move them.
    :param by_intercept: (2 J, Q), as `by_guessing`, of `tables.fill_scores`.
    :param column: (J, 3), ascending, `shared` (3,), which come last, and `negligible`: see
        `fisher_scores.person_scores`.
    :param total: (G, P, padded P) float32, zeros; the lower triangle of the group's matrix is written, and some beyond.
    """
    longest = _longest_row(offsets, starts[group], starts[group + 1])
    posterior, work, weighted, sums, slots, coefficients, columns = _scratch(longest, log_weights.size)
    wide = np.zeros((POLYNOMIALS, total.shape[2]), np.float32)
    rows, places = np.empty((ROWS, columns.size), np.float32), np.arange(ROWS)
    for p in range(starts[group], starts[group + 1]):
        n, used = person_scores(
            codes, offsets[p], offsets[p + 1], windows[min(p, windows.shape[0] - 1)], table, slope, nodes, z,
            log_weights, sd, by_intercept, by_guessing, negligible, column, shared, posterior, work, weighted, sums,
            slots, coefficients, columns,
        )  # fmt: skip
        if n == 0:
            continue
        _clear(coefficients, columns, n, used)
        if total.shape[1] <= _DENSE * n:
            _add_wide(coefficients, columns, n, used, wide, total[group])
        else:
            _add_narrow(coefficients, columns, n, used, rows, places, total[group])


@kernel
def missing_in_subspace(
    group, groups, offsets, codes, windows, starts, stride, table, slope, nodes, z, log_weights, sd, by_intercept,
    by_guessing, negligible, column, shared, subspace, image, blocks,
):  # fmt: skip
    """The same matrix times the columns of `subspace`, and its diagonal blocks of single items.

    :param stride: use every `stride`-th person; other arguments as `missing_information`.
    :param subspace: (P, r); `image` (G, P, r), zeros, written.
    :param blocks: (G, J, 6), zeros, written: symmetric blocks of a, d, logit c, as in `items`.
    """
    r = subspace.shape[1]
    longest = _longest_row(offsets, starts[group], starts[group + 1])
    posterior, work, weighted, sums, slots, coefficients, columns = _scratch(longest, log_weights.size)
    along = np.empty((POLYNOMIALS, r))
    own = image[group]
    for p in range(starts[group], starts[group + 1], stride):
        n, used = person_scores(
            codes, offsets[p], offsets[p + 1], windows[min(p, windows.shape[0] - 1)], table, slope, nodes, z,
            log_weights, sd, by_intercept, by_guessing, negligible, column, shared, posterior, work, weighted, sums,
            slots, coefficients, columns,
        )  # fmt: skip
        along[:used] = 0.0
        for i in range(n):
            direction = subspace[columns[i]]
            for k in range(used):
                for s in range(r):
                    along[k, s] += coefficients[k, i] * direction[s]
        for i in range(n):
            target = own[columns[i]]
            for k in range(used):
                for s in range(r):
                    target[s] += coefficients[k, i] * along[k, s]
        _add_blocks(coefficients, used, slots, codes, offsets[p], offsets[p + 1], blocks[group])


@part
def _add_blocks(coefficients, used, slots, codes, start, stop, blocks):
    """Add the products of the coefficients of each item's own parameters to `blocks` (J, 6)."""
    for at in range(stop - start):
        block = blocks[codes[start + at] >> 1]
        entry = 0
        for i in range(3):
            for j in range(i + 1):
                if slots[i, at] >= 0 and slots[j, at] >= 0:
                    for k in range(used):
                        block[entry] += coefficients[k, slots[i, at]] * coefficients[k, slots[j, at]]
                entry += 1
