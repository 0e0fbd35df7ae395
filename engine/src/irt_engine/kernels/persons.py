"""Ability estimates of single persons, given the items."""

from __future__ import annotations

import math

import numpy as np

from irt_engine.kernels.expectation import describe, infer, moments, normalise
from irt_engine.kernels.exponential import exp
from irt_engine.kernels.jit import kernel, part
from irt_engine.kernels.narrow import RESOLVED

_ITERATIONS = 200
_PRECISION = 1e-10
# Step of the difference quotient for the SE; the functions are smooth on the scale of 1 / a.
_DIFFERENCE = 1e-4
# Nodes per person, and windows to try at most until one resolves the posterior and holds all of it.
_NODES, _WINDOWS = 64, 60
# Largest share of the posterior at an end of a window.
_CUT_OFF = 1e-9
# This many probabilities, each at least this large, are multiplied per logarithm, so that nothing underflows.
_FACTORS, _LEAST_PROBABILITY = 4, 1e-75


@kernel
def eap(part, parts, offsets, codes, table, nodes, log_weights, persons):
    """Write log-likelihood, posterior mean and SD to `persons` (N, 3); other arguments as in the E-step."""
    n = offsets.size - 1
    posterior = np.empty_like(log_weights)
    for p in range(part * n // parts, (part + 1) * n // parts):
        loglik = infer(posterior, log_weights, table, codes, offsets[p], offsets[p + 1], 0, posterior.size)
        describe(posterior, nodes, loglik, persons[p], 0, posterior.size)


@part
def _infer_at(posterior, factors, nodes, codes, start, stop, slope, intercept, guessing, mean, sd):
    """Write the posterior under N(mean, sd^2) over the nodes; `posterior`, `factors` (scratch) and `nodes` (Q,)."""
    for q in range(nodes.size):
        posterior[q] = -0.5 * ((nodes[q] - mean) / sd) ** 2
        factors[q] = 1.0
    for k in range(start, stop):
        j = codes[k] >> 1
        a, d, c = slope[j], intercept[j], guessing[j]
        if codes[k] & 1:
            for q in range(nodes.size):
                factors[q] *= max(c + (1.0 - c) / (1.0 + exp(-(a * nodes[q] + d))), _LEAST_PROBABILITY)
        else:
            for q in range(nodes.size):
                factors[q] *= max((1.0 - c) / (1.0 + exp(a * nodes[q] + d)), _LEAST_PROBABILITY)
        # One logarithm for several factors.
        if (k - start) % _FACTORS == _FACTORS - 1 or k == stop - 1:
            for q in range(nodes.size):
                posterior[q] += math.log(factors[q])
                factors[q] = 1.0
    normalise(posterior)


@kernel
def narrow_eap(
    part, parts, members, offsets, codes, slope, intercept, guessing, mean, sd, low, high, step, persons
):  # fmt: skip
    """Posterior mean and SD of the persons `members` (M,), over each person's own nodes between `low` and `high`.

    :param slope: (J,), as `intercept` and `guessing`; the prior is N(mean, sd^2).
    :param step: distance of the nodes of the common grid; `persons` has the posterior means on it.
    :param persons: (N, 3), read and written.
    """
    nodes, posterior, factors = np.empty(_NODES), np.empty(_NODES), np.empty(_NODES)
    for i in range(part * members.size // parts, (part + 1) * members.size // parts):
        p = members[i]
        start, stop = offsets[p], offsets[p + 1]
        centre, reach = persons[p, 1], step
        found, spread = centre, 0.0
        for _ in range(_WINDOWS):
            first, last = max(centre - reach, low), min(centre + reach, high)
            distance = (last - first) / (_NODES - 1)
            for q in range(_NODES):
                nodes[q] = first + q * distance
            _infer_at(posterior, factors, nodes, codes, start, stop, slope, intercept, guessing, mean, sd)
            found, spread = moments(posterior, nodes, 0, _NODES)
            centre = found
            if spread < RESOLVED * distance:
                # However coarse the nodes, the mean is off by less than their distance.
                reach = 2.0 * distance
            elif (posterior[0] > _CUT_OFF and first > low) or (posterior[-1] > _CUT_OFF and last < high):
                reach = max(2.0 * reach, 12.0 * spread)
            else:
                break
        persons[p, 1], persons[p, 2] = found, spread


@part
def _equation(theta, codes, start, stop, slope, intercept, guessing, weighted, mean, sd):
    """Derivative of the maximised function by ability.

    That is the log-posterior under N(mean, sd^2), or, if `weighted`, Warm's (1989, eq. 10) dlogL + J / (2 I), with
    I = sum P'^2 / (P Q) and J = sum P' P'' / (P Q).
    """
    total = 0.0
    information = 0.0
    skew = 0.0
    for k in range(start, stop):
        j = codes[k] >> 1
        a, c = slope[j], guessing[j]
        logistic = 1.0 / (1.0 + exp(-(a * theta + intercept[j])))
        known = (1.0 - c) * logistic / (c + (1.0 - c) * logistic)
        if codes[k] & 1:
            total += a * known * (1.0 - logistic)
        else:
            total -= a * logistic
        share = a * a * known * logistic * (1.0 - logistic)
        information += share
        skew += share * a * (1.0 - 2.0 * logistic)
    if not weighted:
        return total - (theta - mean) / (sd * sd)
    return total + 0.5 * skew / max(information, 1e-300)


@part
def _root(low, high, codes, start, stop, slope, intercept, guessing, weighted, mean, sd):
    """The root of the equation between `low`, where it is positive, and `high`, by bisection and secants."""
    f_low = _equation(low, codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
    f_high = _equation(high, codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
    for step in range(_ITERATIONS):
        # Illinois steps converge fast; bisecting at every third step guarantees convergence.
        middle = 0.5 * (low + high)
        if step % 3 != 2:
            middle = (low * f_high - high * f_low) / (f_high - f_low)
        f = _equation(middle, codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
        if f > 0.0:
            low, f_low = middle, f
            f_high *= 0.5
        else:
            high, f_high = middle, f
            f_low *= 0.5
        if high - low < _PRECISION or f == 0.0:
            return middle
    return 0.5 * (low + high)


@part
def _criterion(theta, codes, start, stop, slope, intercept, guessing, weighted, mean, sd):
    """The maximised function, up to a constant: the log-posterior, or, if `weighted`, logL + log(I) / 2."""
    total = 0.0
    for k in range(start, stop):
        j = codes[k] >> 1
        wrong = (1.0 - guessing[j]) / (1.0 + exp(slope[j] * theta + intercept[j]))
        right = guessing[j] + (1.0 - guessing[j]) / (1.0 + exp(-(slope[j] * theta + intercept[j])))
        total += math.log(max(right if codes[k] & 1 else wrong, 1e-300))
    if not weighted:
        return total - 0.5 * ((theta - mean) / sd) ** 2
    return total + 0.5 * math.log(max(_test_information(theta, codes, start, stop, slope, intercept, guessing), 1e-300))


@kernel
def modal(part, parts, offsets, codes, slope, intercept, guessing, weighted, mean, sd, grid, result):
    """Estimate and SE of each person: mode of the posterior, or if `weighted` Warm's weighted likelihood estimate.

    Each solution is sought between two points of `grid` (ascending). Of several, the one with the highest posterior
    counts, or with the highest likelihood times the root of the information; without any, an end of the grid.
    `slope`, `intercept`, `guessing` (J,); `result` (N, 2), written. The SE is 1 / sqrt of minus the slope of the
    equation at the estimate, or, where that is not positive, of the test information.
    """
    n = offsets.size - 1
    for p in range(part * n // parts, (part + 1) * n // parts):
        start, stop = offsets[p], offsets[p + 1]
        before = _equation(grid[0], codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
        theta = grid[-1] if before > 0.0 else grid[0]
        highest = -np.inf
        for i in range(grid.size - 1):
            after = _equation(grid[i + 1], codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
            if before > 0.0 >= after:
                root = _root(
                    grid[i], grid[i + 1], codes, start, stop, slope, intercept, guessing, weighted, mean, sd
                )  # fmt: skip
                value = _criterion(root, codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
                if value > highest:
                    highest, theta = value, root
            before = after
        curvature = (
            _equation(theta - _DIFFERENCE, codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
            - _equation(theta + _DIFFERENCE, codes, start, stop, slope, intercept, guessing, weighted, mean, sd)
        ) / (2.0 * _DIFFERENCE)
        if not curvature > 0.0:
            curvature = _test_information(theta, codes, start, stop, slope, intercept, guessing)
        result[p, 0] = theta
        result[p, 1] = 1.0 / math.sqrt(max(curvature, 1e-12))


@part
def _test_information(theta, codes, start, stop, slope, intercept, guessing):
    total = 0.0
    for k in range(start, stop):
        j = codes[k] >> 1
        a, c = slope[j], guessing[j]
        logistic = 1.0 / (1.0 + exp(-(a * theta + intercept[j])))
        total += a * a * (1.0 - c) * logistic / (c + (1.0 - c) * logistic) * logistic * (1.0 - logistic)
    return total


@kernel
def residuals(group, groups, offsets, codes, starts, slope, intercept, guessing, theta, sums):
    """Squared residuals by item, at the persons' abilities.

    :param starts: (G + 1,), groups of persons whose sums are kept apart.
    :param theta: (N,).
    :param sums: (G, J, 3), written: of r^2 / W, r^2 and W, with r = y - P, W = P (1 - P).
    """
    own = sums[group]
    own[:] = 0.0
    for p in range(starts[group], starts[group + 1]):
        for k in range(offsets[p], offsets[p + 1]):
            j = codes[k] >> 1
            c = guessing[j]
            eta = slope[j] * theta[p] + intercept[j]
            # Each by its own formula: the difference from 1 would lose the digits of the smaller one.
            wrong = (1.0 - c) / (1.0 + exp(eta))
            right = c + (1.0 - c) / (1.0 + exp(-eta))
            ratio = wrong / right if codes[k] & 1 else right / wrong
            own[j, 0] += ratio
            own[j, 1] += ratio * wrong * right
            own[j, 2] += wrong * right
