"""For the M-step: gradient and Hessian of each item's expected complete-data log-likelihood.

Parameters of an item: slope a, intercept d, guessing as logit c. Symmetric 3 x 3 matrices are kept as
(aa, ad, dd, ac, dc, cc).
"""

from __future__ import annotations

import math

from irt_engine.kernels.exponential import exp
from irt_engine.kernels.jit import kernel


@kernel
def gradient_and_information(part, parts, slope, intercept, guessing, nodes, counts, gradient, information):
    """Gradient, and expected information given the posterior: positive definite, the matrix of Fisher scoring.

    :param slope: (J,), as `intercept` and `guessing`; `nodes` (Q,).
    :param counts: (2 J, Q) of the E-step.
    :param gradient: (J, 3), written.
    :param information: (J, 6), written: sum over nodes of n P'P'^T / (P (1 - P)).
    """
    for j in range(part * slope.size // parts, (part + 1) * slope.size // parts):
        c = guessing[j]
        g0 = g1 = g2 = i0 = i1 = i2 = i3 = i4 = i5 = 0.0
        for q in range(nodes.size):
            theta = nodes[q]
            wrong, right = counts[2 * j, q], counts[2 * j + 1, q]
            logistic = 1.0 / (1.0 + exp(-(slope[j] * theta + intercept[j])))
            missed = 1.0 - logistic
            probability = c + (1.0 - c) * logistic
            known = (1.0 - c) * logistic / probability
            g = right * known * missed - wrong * logistic
            g0 += g * theta
            g1 += g
            g2 += right * (1.0 - known) * (1.0 - c) * missed - wrong * c
            n = wrong + right
            w = n * known * logistic * missed
            i0 += w * theta * theta
            i1 += w * theta
            i2 += w
            v = n * c * known * missed
            i3 += v * theta
            i4 += v
            i5 += n * c * c * (1.0 - c) * missed / probability
        gradient[j, 0], gradient[j, 1], gradient[j, 2] = g0, g1, g2
        information[j, 0], information[j, 1], information[j, 2] = i0, i1, i2
        information[j, 3], information[j, 4], information[j, 5] = i3, i4, i5


@kernel
def expected_loglik(part, parts, slope, intercept, guessing, nodes, counts, value):
    """Expected complete-data log-likelihood of each item: `counts` (2 J, Q), `value` (J,), written."""
    for j in range(part * slope.size // parts, (part + 1) * slope.size // parts):
        c = guessing[j]
        log_rest = math.log1p(-c)
        total = 0.0
        for q in range(nodes.size):
            eta = slope[j] * nodes[q] + intercept[j]
            tail = math.log1p(exp(-abs(eta)))
            log_right = min(eta, 0.0) - tail
            if c > 0.0:
                log_right = math.log(c + (1.0 - c) * exp(log_right))
            total += counts[2 * j, q] * (log_rest - tail - max(eta, 0.0)) + counts[2 * j + 1, q] * log_right
        value[j] = total


@kernel
def observed_information(part, parts, slope, intercept, guessing, nodes, counts, information):
    """Minus the Hessian of the expected complete-data log-likelihood; arguments as `gradient_and_information`."""
    for j in range(part * slope.size // parts, (part + 1) * slope.size // parts):
        c = guessing[j]
        i0 = i1 = i2 = i3 = i4 = i5 = 0.0
        for q in range(nodes.size):
            theta = nodes[q]
            wrong, right = counts[2 * j, q], counts[2 * j + 1, q]
            logistic = 1.0 / (1.0 + exp(-(slope[j] * theta + intercept[j])))
            missed = 1.0 - logistic
            probability = c + (1.0 - c) * logistic
            known = (1.0 - c) * logistic / probability
            by_c = (1.0 - known) * (1.0 - c) * missed
            by_c_known = -(1.0 - known) * (1.0 - c - by_c)
            dd = right * (known * logistic * missed - known * (1.0 - known) * missed * missed)
            dd += wrong * logistic * missed
            i0 += dd * theta * theta
            i1 += dd * theta
            i2 += dd
            dc = -right * missed * by_c_known
            i3 += dc * theta
            i4 += dc
            i5 += right * (by_c_known + c * (1.0 - c)) + wrong * c * (1.0 - c)
        information[j, 0], information[j, 1], information[j, 2] = i0, i1, i2
        information[j, 3], information[j, 4], information[j, 5] = i3, i4, i5


@kernel
def solve_items(information, free, vector, solution):
    """Solve each item's 3 x 3 system for its free parameters; the others get 0.

    `information` (J, 6), `free` (J, 3) bool, `vector` and `solution` (J, 3), the latter written. By Cholesky; a pivot
    lost to rounding counts as not free.
    """
    for j in range(information.shape[0]):
        m = information[j]
        x, y, z = vector[j, 0], vector[j, 1], vector[j, 2]
        # L L^T without the rows and columns of parameters that are not free.
        p0 = 1.0 / m[0] if free[j, 0] and m[0] > 0.0 else 0.0
        l10, l20 = m[1] * p0, m[3] * p0
        d1 = m[2] - l10 * m[1]
        p1 = 1.0 / d1 if free[j, 1] and d1 > 1e-12 * m[2] else 0.0
        e12 = m[4] - l20 * m[1]
        l21 = e12 * p1
        d2 = m[5] - l20 * m[3] - l21 * e12
        p2 = 1.0 / d2 if free[j, 2] and d2 > 1e-12 * m[5] else 0.0
        y -= l10 * x
        z -= l20 * x + l21 * y
        z *= p2
        y = y * p1 - l21 * z
        x = x * p0 - l10 * y - l20 * z
        solution[j, 0], solution[j, 1], solution[j, 2] = x, y, z
