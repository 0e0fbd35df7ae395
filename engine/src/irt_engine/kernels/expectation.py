"""The E-step: posterior of each person over the nodes, summed by item and answer.

Persons are cut into G groups whose sums are kept apart and added in order, so that the result does not depend on the
number of threads. Within a group the sums have the precision of the table; they are flushed to float64 often enough
that rounding errors do not grow with the number of persons.
"""

from __future__ import annotations

import math

import numpy as np

from irt_engine.kernels.blocks import add_rows, add_to_rows
from irt_engine.kernels.exponential import exp
from irt_engine.kernels.jit import LANES, kernel, part

# Answers per row of the table after which a group's sums are flushed to float64.
FLUSH = 64


@part
def zero(numbers):
    """0 in the precision of `numbers`: a literal would make every sum float64."""
    return numbers[0] - numbers[0]


@part
def normalise(log_posterior):
    """Turn log-posterior (Q,) into the posterior, in place; return the log of the sum before."""
    top = log_posterior[0]
    for q in range(log_posterior.size):
        top = max(top, log_posterior[q])
    total = zero(log_posterior)
    for q in range(log_posterior.size):
        value = exp(log_posterior[q] - top)
        log_posterior[q] = value
        total += value
    share = 1 / total
    for q in range(log_posterior.size):
        log_posterior[q] *= share
    return top + math.log(total)


@part
def infer(posterior, log_weights, table, codes, start, stop, first, end):
    """Write the posterior over the nodes from `first` to `end`, given the answers; return the log-likelihood.

    :param first: as `end`, a multiple of LANES.
    """
    for q in range(first, end):
        posterior[q] = log_weights[q]
    for q in range(first, end, LANES):
        add_rows(posterior, table, codes, start, stop, q)
    return normalise(posterior[first:end])


@part
def moments(posterior, nodes, first, end):
    """Mean and standard deviation of the posterior over the nodes from `first` to `end`."""
    mean = 0.0
    for q in range(first, end):
        mean += posterior[q] * nodes[q]
    variance = 0.0
    for q in range(first, end):
        variance += posterior[q] * (nodes[q] - mean) ** 2
    return mean, math.sqrt(variance)


@part
def describe(posterior, nodes, loglik, person, first, end):
    """Write log-likelihood, mean and standard deviation of one posterior to `person` (3,)."""
    person[0] = loglik
    person[1], person[2] = moments(posterior, nodes, first, end)


@part
def flush(part, total, first):
    """Move `part` into `total`; the `first` flush overwrites it, which saves clearing it before."""
    for r in range(part.shape[0]):
        if first:
            for q in range(part.shape[1]):
                total[r, q] = part[r, q]
                part[r, q] = 0
        else:
            for q in range(part.shape[1]):
                total[r, q] += part[r, q]
                part[r, q] = 0


@part
def add_person(posterior, persons, first, end):
    """persons[q] += posterior[q] between the nodes `first` and `end`."""
    for q in range(first, end):
        persons[q] += posterior[q]


@kernel
def estep(group, groups, offsets, codes, starts, stride, table, nodes, log_weights, part, counts, loglik, persons):
    """Expected counts of persons by item, answer and node (Bock & Aitkin 1981, eqs. 13-14), for one group of persons.

    :param offsets: (N + 1,) int64 and `codes` (n,) int32: the answers by person.
    :param starts: (G + 1,) int64, first person of each group; every `stride`-th person is used.
    :param table: (2 J, Q), of `tables.fill_log_probability`, float32 or float64.
    :param nodes: (Q,) float64; `log_weights` (Q,) in the table's precision.
    :param part: (G, 2 J, Q) in the table's precision, zeros; left as zeros.
    :param counts: (G, 2 J, Q) float64, written: expected number of persons at the node who gave the answer. If it and
        `part` have one more row, that is the number of persons at the node.
    :param loglik: (G,) float64, written.
    :param persons: (N, 3) float64, written with log-likelihood, posterior mean and SD; or (0, 3).
    """
    posterior = np.empty_like(log_weights)
    own = part[group]
    total = 0.0
    waiting = 0
    first = True
    for p in range(starts[group], starts[group + 1], stride):
        start, stop = offsets[p], offsets[p + 1]
        person_loglik = infer(posterior, log_weights, table, codes, start, stop, 0, posterior.size)
        total += person_loglik
        if persons.shape[0] > 0:
            describe(posterior, nodes, person_loglik, persons[p], 0, posterior.size)
        for q in range(0, posterior.size, LANES):
            add_to_rows(posterior, own, codes, start, stop, q)
        if own.shape[0] > table.shape[0]:
            add_person(posterior, own[table.shape[0]], 0, posterior.size)
        waiting += stop - start
        if waiting >= FLUSH * table.shape[0]:
            flush(own, counts[group], first)
            waiting, first = 0, False
    flush(own, counts[group], first)
    loglik[group] = total


@kernel
def add_groups(part, parts, counts, total):
    """total[r, q] = sum over groups of counts[g, r, q], always in the same order."""
    for r in range(part * total.shape[0] // parts, (part + 1) * total.shape[0] // parts):
        total[r] = 0.0
        for g in range(counts.shape[0]):
            for q in range(total.shape[1]):
                total[r, q] += counts[g, r, q]
