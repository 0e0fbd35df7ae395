"""Tables of the item response function at the nodes.

P(right) = c + (1 - c) L with L = 1 / (1 + exp(-eta)), eta = a theta + d; c = 0 except for 3PL items.
"""

from __future__ import annotations

import math

from irt_engine.kernels.exponential import exp
from irt_engine.kernels.jit import kernel


@kernel
def fill_log_probability(part, parts, slope, intercept, guessing, nodes, table):
    """table[2 j + y, q] = log P(y) of item j at node q.

    `slope`, `intercept`, `guessing` (J,), `nodes` (Q,) float64; `table` (2 J, Q) float32 or float64, written.
    """
    for j in range(part * slope.size // parts, (part + 1) * slope.size // parts):
        c = guessing[j]
        log_rest = math.log1p(-c)
        for q in range(nodes.size):
            eta = slope[j] * nodes[q] + intercept[j]
            tail = math.log1p(exp(-abs(eta)))
            log_right = -tail + min(eta, 0.0)
            table[2 * j, q] = log_rest - tail - max(eta, 0.0)
            if c > 0.0:
                log_right = math.log(c + (1.0 - c) * exp(log_right))
            table[2 * j + 1, q] = log_right


@kernel
def fill_scores(part, parts, slope, intercept, guessing, nodes, by_intercept, by_guessing):
    """Derivatives of log P(y) by the intercept d and by logit c, at the nodes.

    `slope`, `intercept`, `guessing` (J,), `nodes` (Q,) float64; `by_intercept`, `by_guessing` (2 J, Q), written.
    The derivative by the slope is the node times that by the intercept.
    """
    for j in range(part * slope.size // parts, (part + 1) * slope.size // parts):
        c = guessing[j]
        for q in range(nodes.size):
            logistic = 1.0 / (1.0 + exp(-(slope[j] * nodes[q] + intercept[j])))
            right = c + (1.0 - c) * logistic
            # Share of the right answers that are known, not guessed.
            known = (1.0 - c) * logistic / right
            by_intercept[2 * j, q] = -logistic
            by_intercept[2 * j + 1, q] = known * (1.0 - logistic)
            by_guessing[2 * j, q] = -c
            by_guessing[2 * j + 1, q] = (1.0 - known) * (1.0 - c) * (1.0 - logistic)
