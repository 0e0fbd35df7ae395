"""The E-step of persons whose posterior the common grid does not resolve.

The trapezoid rule integrates a normal density of standard deviation s over equally spaced nodes with a relative error
of about 2 exp(-2 (pi s / h)^2), h being their distance (Trefethen & Weideman 2014): at s = 0.8 h it is 7e-6, at
s = 0.4 h 8 %. So there are levels of nodes, each with half the distance of the one before, and a person uses a window
of the first level that is fine enough.
"""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.blocks import add_to_rows
from irt_engine.kernels.expectation import FLUSH, add_person, describe, flush, infer, moments
from irt_engine.kernels.jit import LANES, kernel, part

# A posterior is resolved if its SD is at least this many node distances.
RESOLVED = 0.8
# Nodes per window. It starts at a multiple of LANES, so at least LANES / 2 are on either side of the mean.
WINDOW = 2 * LANES
# Largest share of the posterior at the first or last node of a window.
_CUT_OFF = 1e-9


@part
def _is_good(posterior, sd, level, first, end, levels, steps):
    """Whether the window of a level resolves the posterior and holds all of it."""
    if sd < RESOLVED * steps[level] and level + 1 < steps.size:
        return False
    if first > levels[level] and posterior[first] > _CUT_OFF:
        return False
    return end == levels[level + 1] or posterior[end - 1] <= _CUT_OFF


@part
def locate(posterior, log_weights, table, codes, start, stop, z, levels, steps, window):
    """Write the posterior within the person's window; first move the window if it no longer fits.

    :param posterior: (Q,), written between the window's first node and its end.
    :param z: (Q,) nodes of all levels, before the latent mean and SD move them.
    :param levels: (L + 1,) int64, first node of each level, and Q; `steps` (L,) float64, distances of the nodes z.
    :param window: (3,) int64: level, first node and end; read and written.

    Return the log-likelihood.
    """
    level, first, end = window[0], window[1], window[2]
    loglik = infer(posterior, log_weights, table, codes, start, stop, first, end)
    mean, sd = moments(posterior, z, first, end)
    if _is_good(posterior, sd, level, first, end, levels, steps):
        return loglik
    if level > 0:
        level, first, end = 0, levels[0], levels[1]
        loglik = infer(posterior, log_weights, table, codes, start, stop, first, end)
        mean, sd = moments(posterior, z, first, end)
    while sd < RESOLVED * steps[level] and level + 1 < steps.size:
        # However coarse the nodes, the mean is off by less than their distance.
        level += 1
        size = levels[level + 1] - levels[level]
        centre = int((mean - z[levels[level]]) / steps[level])
        at = (centre - (WINDOW - LANES) // 2) // LANES * LANES
        first = levels[level] + max(min(at, size - WINDOW), 0)
        end = min(first + WINDOW, levels[level + 1])
        loglik = infer(posterior, log_weights, table, codes, start, stop, first, end)
        mean, sd = moments(posterior, z, first, end)
    window[0], window[1], window[2] = level, first, end
    return loglik


@kernel
def estep(
    group, groups, members, offsets, codes, starts, table, nodes, z, log_weights, levels, steps, windows, part, counts,
    loglik, persons,
):  # fmt: skip
    """As `expectation.estep`, for the persons `members` (M,); group g begins at starts[g].

    :param windows: (M, 3) int64, of `locate`; other arguments as there and in `expectation.estep`.
    """
    posterior = np.empty_like(log_weights)
    own = part[group]
    total = 0.0
    waiting = 0
    first_time = True
    for i in range(starts[group], starts[group + 1]):
        p = members[i]
        start, stop = offsets[p], offsets[p + 1]
        person_loglik = locate(
            posterior, log_weights, table, codes, start, stop, z, levels, steps, windows[i]
        )  # fmt: skip
        total += person_loglik
        first, end = windows[i, 1], windows[i, 2]
        if persons.shape[0] > 0:
            describe(posterior, nodes, person_loglik, persons[p], first, end)
        for q in range(first, end, LANES):
            add_to_rows(posterior, own, codes, start, stop, q)
        if own.shape[0] > table.shape[0]:
            add_person(posterior, own[table.shape[0]], first, end)
        waiting += stop - start
        if waiting >= FLUSH * table.shape[0]:
            flush(own, counts[group], first_time)
            waiting, first_time = 0, False
    flush(own, counts[group], first_time)
    loglik[group] = total


@kernel
def most_information(part, parts, offsets, codes, slope, least, found):
    """An upper bound of the information in each person's answers, the sum of a^2 / 4.

    :param least: with fewer answers, a person gets 0.
    :param found: (N,), written. The variance of a posterior under N(mean, sd^2) is at least 1 / (1 / sd^2 + bound).
    """
    n = offsets.size - 1
    for p in range(part * n // parts, (part + 1) * n // parts):
        total = 0.0
        if offsets[p + 1] - offsets[p] >= least:
            for k in range(offsets[p], offsets[p + 1]):
                total += 0.25 * slope[codes[k] >> 1] ** 2
        found[p] = total
