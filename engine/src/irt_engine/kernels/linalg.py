"""Symmetric positive definite matrices. LAPACK is faster, but its rounding depends on the number of threads."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.jit import kernel, part

BLOCK = 48


@part
def _dot(x, y, first, end):
    total = 0.0
    for k in range(first, end):
        total += x[k] * y[k]
    return total


@kernel
def factor_block(matrix, start, weakest, undetermined):
    """Compute the rows `start`.. of one block of the lower Cholesky factor, in place, after all rows before them.

    A pivot at or below `weakest` (P,) means that the data do not determine the parameter, given those before it: its
    row and column become zero, its pivot infinite, as if it did not exist, and `undetermined` (P,) is set.
    """
    for i in range(start, min(start + BLOCK, matrix.shape[0])):
        for j in range(start, i):
            matrix[i, j] = (matrix[i, j] - _dot(matrix[i], matrix[j], 0, j)) / matrix[j, j]
        pivot = matrix[i, i] - _dot(matrix[i], matrix[i], 0, i)
        undetermined[i] = not pivot > weakest[i]
        if undetermined[i]:
            for j in range(i):
                matrix[i, j] = 0.0
            pivot = np.inf
        matrix[i, i] = np.sqrt(pivot)


@kernel
def factor_below(part, parts, matrix, start):
    """The same block's columns in the rows below it."""
    stop = min(start + BLOCK, matrix.shape[0])
    for i in range(stop + part, matrix.shape[0], parts):
        for j in range(start, stop):
            matrix[i, j] = (matrix[i, j] - _dot(matrix[i], matrix[j], 0, j)) / matrix[j, j]


@kernel
def invert_factor(part, parts, factor, transposed):
    """Inverse of a lower factor (P, P), written transposed: row i holds column i of the inverse."""
    n = factor.shape[0]
    for i in range(part, n, parts):
        row = transposed[i]
        for j in range(i):
            row[j] = 0.0
        row[i] = 1.0 / factor[i, i]
        for j in range(i + 1, n):
            row[j] = -_dot(factor[j], row, i, j) / factor[j, j]


@kernel
def gram(part, parts, transposed, product):
    """product = L^-T L^-1 (P, P), from the rows of `invert_factor`."""
    n = transposed.shape[0]
    for i in range(part, n, parts):
        for j in range(i, n):
            value = _dot(transposed[i], transposed[j], j, n)
            product[i, j] = value
            product[j, i] = value
