"""The M-step: each item's parameters given the expected counts, for all items at once.

Fisher scoring with the closed-form information; an item's step is halved until its own expected log-likelihood does
not fall, so that no item can spoil the step of the others.
"""

from __future__ import annotations

import numpy as np

from irt_engine.estimation.objective import Evaluation, Objective, gradient_and_information
from irt_engine.kernels import items
from irt_engine.kernels.threads import run
from irt_engine.model.parameters import COMMON_SLOPE, Model

_ITERATIONS = 10
_HALVINGS = 6
_ENOUGH = 1e-3
# An answer's information on b is at most a^2 / 4; a prior counts if it has at least a tenth of that of all answers.
_KNOWS = 40.0
# Longest step of an item's a, d and logit c.
LONGEST = np.array([1.0, 2.0, 1.5])


def shortened(step: np.ndarray) -> np.ndarray:
    """Scale each item's step (J, 3) down to the longest that is allowed."""
    ratio = np.abs(step / LONGEST).max(axis=1, initial=0.0)
    short: np.ndarray = step / np.maximum(ratio, 1.0)[:, None]
    return short


def mstep(objective: Objective, evaluation: Evaluation) -> np.ndarray:
    """The change (J + G, 3) of the free item parameters that maximises the expected log-posterior of `evaluation`.

    Common slope, latent mean and SD do not change.
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


def expected_log_posterior(objective: Objective, evaluation: Evaluation, x: np.ndarray) -> np.ndarray:
    """Of each item (J,) at its parameters in `x`, given the posteriors of `evaluation`."""
    return _ItemProblem(objective, evaluation).value(x)


class _ItemProblem:
    """Expected log-likelihood and log-prior of each item as functions of its parameters."""

    def __init__(self, objective: Objective, evaluation: Evaluation) -> None:
        self._objective, self._model = objective, objective.model
        self._expected = evaluation.expected
        self._answers = _answers(evaluation)

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
        information += prior.information
        items.solve_items(information, self._model.free[:n_items], gradient + prior.gradient, step)
        return step

    def moved(self, x: np.ndarray, step: np.ndarray) -> np.ndarray:
        """`x` after `step` (J, 3), which is taken in a and b if the prior on b is tight.

        A step in a and d leaves the line d = -a b of a tight prior as soon as a changes by as much as itself.
        """
        then: np.ndarray = x.copy()
        n = self._model.n_items
        then[:n] += step
        tight = _prior_knows_difficulty(self._model, x, self._answers) & self._model.free[:n, 0]
        if tight.any():
            a, d = x[:n, 0][tight], x[:n, 1][tight]
            by_a, by_d = step[tight, 0], step[tight, 1]
            then[:n, 1][tight] += by_a * (by_d - d / a * by_a) / a
        return then


def _prior_knows_difficulty(model: Model, x: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Items (J,) bool whose prior on b counts, compared with the information in their `answers` (J,)."""
    prior = model.priors.b
    if prior is None:
        return np.zeros(model.n_items, bool)
    a = x[: model.n_items, 0]
    knows: np.ndarray = model.free[: model.n_items, 1] & (a != 0.0) & (a * a * answers * prior.second**2 < _KNOWS)
    return knows


def along_common_slope(model: Model, evaluation: Evaluation, step: np.ndarray) -> np.ndarray:
    """Change of 1PL items' intercepts (J,) with the common slope in `step` (J + 1, 3), to keep b under tight priors."""
    tight = _prior_knows_difficulty(model, evaluation.x, _answers(evaluation)) & model.common
    n = model.n_items
    then = (evaluation.x + step)[:n]
    change: np.ndarray = np.where(tight, then[:, 1] / evaluation.x[:n, 0] * step[n, COMMON_SLOPE], 0.0)
    return change


def _answers(evaluation: Evaluation) -> np.ndarray:
    answers = np.zeros(evaluation.information.shape[0])
    for part in evaluation.expected:
        answers[part.items] += part.counts.reshape(part.items.size, -1).sum(axis=1)
    return answers


def _climb(problem: _ItemProblem, x: np.ndarray, value: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take each item's step, halved until its value does not fall."""
    for _ in range(_HALVINGS):
        then = problem.moved(x, step)
        new_value = problem.value(then)
        # Written so that NaN counts as lower.
        lower = ~(new_value >= value)
        if not lower.any():
            return then, new_value
        step = np.where(lower[:, None], 0.5 * step, step)
    gone = np.flatnonzero(lower)
    then[gone] = x[gone]
    return then, np.where(lower, value, new_value)
