"""The M-step: each item's parameters given the expected counts, for all items at once.

Fisher scoring with the closed-form information; an item's step is halved until its own expected log-likelihood does
not fall, so that no item can spoil the step of the others.
"""

from __future__ import annotations

import numpy as np

from irt_engine.estimation.objective import Evaluation, Objective, gradient_and_information
from irt_engine.kernels import items
from irt_engine.kernels.threads import run

_ITERATIONS = 10
_HALVINGS = 6
_ENOUGH = 1e-3
# Longest step of an item's a, d and logit c.
LONGEST = np.array([1.0, 2.0, 1.5])


def shortened(step: np.ndarray) -> np.ndarray:
    """Shorten the step (J, 3) of each item, as a whole, to what its parameters may move at once."""
    ratio = np.abs(step / LONGEST).max(axis=1, initial=0.0)
    short: np.ndarray = step / np.maximum(ratio, 1.0)[:, None]
    return short


def mstep(objective: Objective, evaluation: Evaluation) -> np.ndarray:
    """The change (J + G, 3) of the free item parameters that maximises what the E-step of `evaluation` expects.

    Common slope, latent mean and SD stay.
    """
    problem = _ItemProblem(objective, evaluation)
    x = evaluation.x.copy()
    value = problem.value(x)
    for _ in range(_ITERATIONS):
        step = shortened(problem.scoring_step(x))
        x, value = _climb(problem, x, value, step)
        if np.abs(step).max(initial=0.0) < _ENOUGH:
            break
    change: np.ndarray = x - evaluation.x
    return change


class _ItemProblem:
    """Expected log-likelihood and log-prior of each item as functions of its parameters."""

    def __init__(self, objective: Objective, evaluation: Evaluation) -> None:
        self._objective, self._model = objective, objective.model
        self._expected = evaluation.expected

    def value(self, x: np.ndarray) -> np.ndarray:
        loglik = np.zeros(self._model.n_items)
        for part in self._expected:
            own = np.empty(part.items.size)
            run(
                items.expected_loglik, *(values[part.items] for values in self._model.items(x)), part.nodes,
                part.counts, own, work=10.0 * part.counts.size,
            )  # fmt: skip
            loglik[part.items] += own
        value: np.ndarray = loglik + self._objective.log_prior(x).value
        return value

    def scoring_step(self, x: np.ndarray) -> np.ndarray:
        n_items = self._model.n_items
        gradient, information, step = np.zeros((n_items, 3)), np.zeros((n_items, 6)), np.empty((n_items, 3))
        for part in self._expected:
            by_item, own = gradient_and_information(self._model, x, part)
            gradient[part.items] += by_item
            information[part.items] += own
        prior = self._objective.log_prior(x)
        information[:, [0, 2, 5]] += np.maximum(-prior.hessian[:, [0, 2, 5]], 0.0)
        items.solve_items(information, self._model.free[:n_items], gradient + prior.gradient, step)
        return step


def _climb(problem: _ItemProblem, x: np.ndarray, value: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go as far along each item's step as raises its value."""
    for _ in range(_HALVINGS):
        then = x.copy()
        then[: step.shape[0]] += step
        new_value = problem.value(then)
        # Written so that a value that is not a number counts as lower.
        lower = ~(new_value >= value)
        if not lower.any():
            return then, new_value
        step = np.where(lower[:, None], 0.5 * step, step)
    gone = np.flatnonzero(lower)
    then[gone] = x[gone]
    return then, np.where(lower, value, new_value)
