"""The loops over answers. Pure functions on arrays; shapes: P persons, I items, N answers, Q nodes, L lanes.

Persons are dealt to a fixed number of lanes, each summed in order by whichever thread takes it, and the lanes are
added in order: the result has the same bytes whatever the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

LANES = 16


@njit(cache=True, inline="always")
def _posterior(begin, end, item, correct, logp, logw, out):
    """Person's normalised posterior into out (Q); returns the marginal log-likelihood. logp is (2, I, Q)."""
    points = logw.shape[0]
    for q in range(points):
        out[q] = logw[q]
    for k in range(begin, end):
        row = logp[correct[k], item[k]]
        for q in range(points):
            out[q] += row[q]
    top = out[0]
    for q in range(1, points):
        top = max(top, out[q])
    total = 0.0
    for q in range(points):
        out[q] = np.exp(out[q] - top)
        total += out[q]
    for q in range(points):
        out[q] /= total
    return top + np.log(total)


@njit(cache=True, parallel=True)
def expect(start, item, correct, logp, logw):
    """E-step (Bock & Aitkin, 1981): expected numbers of answers and of correct ones, at every node.

    :return: answered (I, Q), right (I, Q), log-likelihood.
    """
    persons = start.shape[0] - 1
    items, points = logp.shape[1], logp.shape[2]
    counts = np.zeros((LANES, 2, items, points))
    logliks = np.zeros(LANES)
    for lane in prange(LANES):
        weight = np.empty(points)
        for p in range(lane, persons, LANES):
            logliks[lane] += _posterior(start[p], start[p + 1], item, correct, logp, logw, weight)
            for k in range(start[p], start[p + 1]):
                row = counts[lane, correct[k], item[k]]
                for q in range(points):
                    row[q] += weight[q]
    wrong = np.zeros((items, points))
    right = np.zeros((items, points))
    loglik = 0.0
    for lane in range(LANES):
        wrong += counts[lane, 0]
        right += counts[lane, 1]
        loglik += logliks[lane]
    return wrong + right, right, loglik


@njit(cache=True, parallel=True)
def eap(start, item, correct, logp, logw, nodes):
    """Posterior mean and standard deviation of each person (Bock & Mislevy, 1982): theta (P,), se (P,)."""
    persons = start.shape[0] - 1
    theta = np.empty(persons)
    se = np.empty(persons)
    for p in prange(persons):
        weight = np.empty(nodes.shape[0])
        _posterior(start[p], start[p + 1], item, correct, logp, logw, weight)
        mean = 0.0
        for q in range(nodes.shape[0]):
            mean += weight[q] * nodes[q]
        square = 0.0
        for q in range(nodes.shape[0]):
            square += weight[q] * (nodes[q] - mean) ** 2
        theta[p] = mean
        se[p] = np.sqrt(square)
    return theta, se


@njit(cache=True)
def missing_information(start, item, correct, logp, logw, prob, nodes):
    """Louis (1982): the posterior covariance of the complete-data scores, summed over persons.

    :param prob: P(correct), (I, Q).
    :return: (2I, 2I), item j's slope at 2j and intercept at 2j + 1.
    """
    items, points = prob.shape
    total = np.zeros((2 * items, 2 * items))
    weight = np.empty(points)
    for p in range(start.shape[0] - 1):
        begin, end = start[p], start[p + 1]
        n = end - begin
        _posterior(begin, end, item, correct, logp, logw, weight)
        score = np.empty((points, 2 * n))
        for q in range(points):
            root = np.sqrt(weight[q])
            for k in range(n):
                residual = (correct[begin + k] - prob[item[begin + k], q]) * root
                score[q, 2 * k] = residual * nodes[q]
                score[q, 2 * k + 1] = residual
        mean = np.zeros(2 * n)
        for q in range(points):
            root = np.sqrt(weight[q])
            for c in range(2 * n):
                mean[c] += score[q, c] * root
        square = score.T @ score
        for k in range(n):
            for m in range(n):
                row, column = 2 * item[begin + k], 2 * item[begin + m]
                for u in range(2):
                    for v in range(2):
                        entry = square[2 * k + u, 2 * m + v] - mean[2 * k + u] * mean[2 * m + v]
                        total[row + u, column + v] += entry
    return total
