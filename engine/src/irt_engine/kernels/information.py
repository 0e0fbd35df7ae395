"""Missing information: posterior covariance of the complete-data scores, summed over persons (Louis 1982)."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.jit import LANES, kernel, part
from irt_engine.kernels.scores import POLYNOMIALS, person_scores

# Products of a person's scores go straight into the rows of the matrix where these are so many times longer or less;
# else they are formed side by side first, and then spread over the rows.
_DENSE = 6


@part
def _longest_row(offsets, first, end):
    longest = 0
    for p in range(first, end):
        longest = max(longest, offsets[p + 1] - offsets[p])
    return longest


@part
def _add_row(coefficients, used, i, scores, length, target):
    """target[j] += sum over k of coefficients[k, i] * scores[k, j], for j < length; four polynomials at a time."""
    for k in range(0, used, 4):
        c0, c1 = coefficients[k, i], coefficients[k + 1, i]
        c2, c3 = coefficients[k + 2, i], coefficients[k + 3, i]
        s0, s1, s2, s3 = scores[k], scores[k + 1], scores[k + 2], scores[k + 3]
        for j in range(length):
            target[j] += (c0 * s0[j] + c1 * s1[j]) + (c2 * s2[j] + c3 * s3[j])


@part
def _add_products(coefficients, columns, n, used, wide, row, total):
    """total[columns[i], columns[j]] += sum over k of coefficients[k, i] * coefficients[k, j], for columns[j] <= [i]."""
    if total.shape[0] <= _DENSE * n:
        for k in range(used):
            for i in range(n):
                wide[k, columns[i]] = coefficients[k, i]
        for i in range(n):
            _add_row(coefficients, used, i, wide, columns[i] + 1, total[columns[i]])
        for k in range(used):
            for i in range(n):
                wide[k, columns[i]] = 0.0
        return
    for i in range(n):
        row[: i + 1] = 0.0
        _add_row(coefficients, used, i, coefficients, i + 1, row)
        target = total[columns[i]]
        for j in range(i + 1):
            target[columns[j]] += row[j]


@kernel
def missing_information(
    group, groups, offsets, codes, starts, table, slope, nodes, z, log_weights, sd, by_intercept, by_guessing,
    negligible, column, shared, total,
):  # fmt: skip
    """Sum over a group's persons of the posterior covariances of the scores by the free parameters.

    :param offsets: (N + 1,), `codes` (n,), `starts` (G + 1,), `table` (2 J, Q), `log_weights` (Q,): as in the E-step.
    :param z: (Q,) nodes before mean and `sd` of the latent distribution moved them to `nodes`.
    :param by_intercept: (2 J, Q), as `by_guessing`, of `tables.fill_scores`.
    :param column: (J, 3) and `shared` (3,): as `negligible`, see `scores.person_scores`; ascending, those shared last.
    :param total: (G, P, P) float32, zeros; the lower triangle of the group's is written.
    """
    longest = _longest_row(offsets, starts[group], starts[group + 1])
    width = 3 * longest + 3
    scores = np.empty((log_weights.size, longest + LANES), np.float32)
    sums = np.empty((POLYNOMIALS, longest + LANES), np.float32)
    slots = np.full((3, longest), -1)
    posterior, work = np.empty_like(log_weights), np.empty((3 + POLYNOMIALS, log_weights.size))
    weighted = np.empty((2 * POLYNOMIALS, log_weights.size), np.float32)
    coefficients, columns = np.zeros((POLYNOMIALS, width), np.float32), np.empty(width, np.int64)
    wide = np.zeros((POLYNOMIALS, total.shape[1]), np.float32)
    row = np.empty(width, np.float32)
    for p in range(starts[group], starts[group + 1]):
        n, used = person_scores(
            codes, offsets[p], offsets[p + 1], table, slope, nodes, z, log_weights, sd, by_intercept, by_guessing,
            negligible, column, shared, posterior, work, weighted, scores, sums, slots,
            coefficients, columns,
        )  # fmt: skip
        _add_products(coefficients, columns, n, used, wide, row, total[group])


@kernel
def missing_in_subspace(
    group, groups, offsets, codes, starts, stride, table, slope, nodes, z, log_weights, sd, by_intercept, by_guessing,
    negligible, column, shared, subspace, image, blocks,
):  # fmt: skip
    """The same matrix, only times the columns of `subspace`, and its diagonal blocks of single items.

    :param stride: of the persons every so-manieth takes part; other arguments as `missing_information`.
    :param subspace: (P, r); `image` (G, P, r), zeros, written.
    :param blocks: (G, J, 6), zeros, written: symmetric blocks of a, d, logit c, as in `items`.
    """
    r = subspace.shape[1]
    longest = _longest_row(offsets, starts[group], starts[group + 1])
    width = 3 * longest + 3
    scores = np.empty((log_weights.size, longest + LANES), np.float32)
    sums = np.empty((POLYNOMIALS, longest + LANES), np.float32)
    slots = np.full((3, longest), -1)
    posterior, work = np.empty_like(log_weights), np.empty((3 + POLYNOMIALS, log_weights.size))
    weighted = np.empty((2 * POLYNOMIALS, log_weights.size), np.float32)
    coefficients, columns = np.zeros((POLYNOMIALS, width), np.float32), np.empty(width, np.int64)
    along = np.empty((POLYNOMIALS, r))
    own = image[group]
    for p in range(starts[group], starts[group + 1], stride):
        n, used = person_scores(
            codes, offsets[p], offsets[p + 1], table, slope, nodes, z, log_weights, sd, by_intercept, by_guessing,
            negligible, column, shared, posterior, work, weighted, scores, sums, slots,
            coefficients, columns,
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
