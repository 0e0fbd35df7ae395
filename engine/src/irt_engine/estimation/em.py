"""Marginal maximum likelihood (or posterior mode) by accelerated EM.

Cheap stages come first. A sample of the persons gives starting values; all persons on every second node, in single
precision, come close to the result; all nodes, in single and then in double precision, give the result. Everything
reported, including whether it has converged, comes from the last stage.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from irt_engine.answers.populations import Population
from irt_engine.estimation.maximisation import LONGEST, along_common_slope, mstep
from irt_engine.estimation.objective import Evaluation, Objective
from irt_engine.estimation.posteriors import ItemCurves, least_information, most_information
from irt_engine.estimation.quasi_newton import Curvature, EmStep
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model
from irt_engine.model.quadrature import Quadrature

log = logging.getLogger(__name__)

Progress = Callable[[int, float, float], None]
Runaways = Callable[[Model, Evaluation], np.ndarray]

# The sample has about this many answers per item, and at least this many persons.
_SAMPLE_ANSWERS, _SAMPLE_PERSONS = 250, 1500
_SAMPLE_RIDGE = 2.0
_SAMPLE_ITERATIONS = 40
# Longest step of the common slope, latent mean and log SD.
_SHARED_STEP = np.array([0.5, 1.0, 0.5])
_HALVINGS = 12
# An item may be out of range for this many iterations.
_PATIENCE = 3
# A stage ends after this many iterations without progress; soon in single precision, since another stage follows.
_IDLE: dict[type[np.floating[Any]], int] = {np.float32: 4, np.float64: 50}
# From a start near the maximum, no step is longer than this from this iteration on.
_NEAR_ITERATIONS, _NEAR_STEP = 6, 0.1
# Rounding error of the objective, relative to its size; a smaller decrease does not count.
_SLACK: dict[type[np.floating[Any]], float] = {np.float32: 1e-7, np.float64: 1e-12}


@dataclass(frozen=True)
class Fit:
    """The outcome of the estimation.

    :ivar evaluation: at the estimates, in double precision on the whole grid.
    :ivar persons: (N, 3), log-likelihood, posterior mean and posterior SD.
    :ivar iterations: E-steps over all persons.
    :ivar max_change: longest further step of any parameter (a, d, logit c, latent mean, log of latent SD).
    :ivar max_gradient: largest derivative of the log-posterior by a parameter, times its complete-data SE.
    :ivar lost: (J,) bool, items whose estimates diverged.
    """

    evaluation: Evaluation
    persons: np.ndarray
    objective: Objective
    iterations: int
    converged: bool
    max_change: float
    max_gradient: float
    lost: np.ndarray


@dataclass(frozen=True)
class _Stage:
    precision: type[np.floating[Any]]
    quadrature: Quadrature
    tolerance: float
    stride: int = 1
    ridge: float = 0.0
    # Whether to use finer nodes for persons whose posterior the grid does not resolve.
    resolves: bool = False


@dataclass
class _State:
    x: np.ndarray
    curvature: Curvature = field(default_factory=Curvature)
    iterations: int = 0
    evaluation: Evaluation | None = None
    max_change: float = np.inf
    max_gradient: float = np.inf
    converged: bool = False
    lost: bool = False


class NotNearError(Exception):
    """A start that was taken to be near the maximum is not; `iterations` were spent on it."""

    def __init__(self, iterations: int) -> None:
        super().__init__(f"after {iterations} iterations the steps are still long")
        self.iterations = iterations


class Estimator:
    """One estimation.

    :param populations: the answers by population, the reference first.
    :param runaways: returns the items, (J,) bool, outside the range of sensible estimates. If some stay there, the
        estimation ends early, but only on all nodes in double precision, since fewer nodes cannot integrate a steep
        item.
    :param tolerance: the estimation has converged when no parameter would change by more, and no derivative, in units
        of 1 / SE, exceeds 100 times this.
    """

    def __init__(
        self, populations: Sequence[Population], model: Model, quadrature: Quadrature,
        tolerance: float, max_iterations: int, runaways: Runaways, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self._populations = populations
        self._n_persons = sum(part.persons.size for part in populations)
        self._n_answers = sum(part.codes.size for part in populations)
        self._model, self._quadrature = model, quadrature
        self._tolerance, self._max_iterations = tolerance, max_iterations
        self._runaways, self._progress = runaways, progress
        self._may_give_up = False
        self._beyond = np.zeros(model.n_items, np.int64)

    def try_from(self, start: np.ndarray) -> Fit:
        """Estimate from `start` (J + G, 3), which seems to be near the maximum; without a sample of the persons.

        :raise NotNearError: it is not.
        """
        self._may_give_up = True
        return self.run(start)

    def run(self, near: np.ndarray | None = None) -> Fit:
        """Estimate, from the starting values or from `near` (J + G, 3), which is known to be near the maximum."""
        x = self._model.start if near is None else np.where(self._model.free, near, self._model.start)
        state = _State(self._model.tied(x.copy()))
        persons = np.zeros((self._n_persons, 3))
        for stage in self._stages(from_afar=near is None):
            objective = Objective(
                self._populations, self._model, stage.quadrature, stage.precision, stage.stride, stage.ridge,
                stage.resolves,
            )  # fmt: skip
            if stage.stride > 1:
                sample = _State(state.x)
                self._climb(objective, sample, stage, None)
                state.x = sample.x
                continue
            is_last = stage.precision is np.float64
            self._climb(objective, state, stage, persons if is_last else None)
            while is_last and objective.look_through(state.x):
                self._climb(objective, state, stage, persons)
            if state.lost and stage.precision is np.float32:
                self._start_again(state)
        assert state.evaluation is not None  # noqa: S101
        return Fit(
            state.evaluation, persons, objective, state.iterations, state.converged,
            state.max_change, state.max_gradient, self._beyond >= (_PATIENCE if state.lost else 1),
        )  # fmt: skip

    def _start_again(self, state: _State) -> None:
        """Reset diverged items to their starting values; the next stage judges them again."""
        gone = np.flatnonzero(self._beyond)
        state.x = state.x.copy()
        state.x[gone] = self._model.start[gone]
        self._model.tied(state.x)
        self._beyond[:] = 0
        state.curvature.forget()

    def _stages(self, *, from_afar: bool) -> Iterator[_Stage]:
        thin = self._quadrature.thinned()
        if from_afar:
            yield from self._sample_stages(thin)
        if (from_afar or self._may_give_up) and thin is not self._quadrature and not self._mostly_narrow():
            yield _Stage(np.float32, thin, 1e-3)
        yield _Stage(np.float32, self._quadrature, max(1e-5, self._tolerance), resolves=True)
        yield _Stage(np.float64, self._quadrature, self._tolerance, resolves=True)

    def _sample_stages(self, thin: Quadrature) -> Iterator[_Stage]:
        per_item = self._n_answers // (self._model.n_items * _SAMPLE_ANSWERS)
        stride = min(self._n_persons // _SAMPLE_PERSONS, per_item)
        if stride > 1:
            yield _Stage(np.float32, thin, 0.03, stride, _SAMPLE_RIDGE)

    def _mostly_narrow(self) -> bool:
        """Whether most answers come from persons whose posteriors may be too narrow for the grid."""
        start, model, narrow = self._model.start, self._model, 0
        for g, part in enumerate(self._populations):
            curves = ItemCurves.of(model, start, g, part.items, self._quadrature)
            information = most_information(part.offsets, part.codes, curves, self._quadrature)
            narrow += int(np.diff(part.offsets)[information > least_information(self._quadrature)].sum())
        return 2 * narrow > self._n_answers

    def _climb(self, objective: Objective, state: _State, stage: _Stage, persons: np.ndarray | None) -> None:
        """Iterate on one stage's objective until its tolerance is met, or cannot be met in its precision."""
        slack = _SLACK[stage.precision]
        now = state.evaluation = objective(state.x, persons)
        state.iterations += 1
        idle, shortest = 0, np.inf
        while idle < _IDLE[stage.precision]:
            em_step = EmStep(self._model, now)
            step = state.curvature.direction(now.gradient, em_step)
            if self._is_over(now, step, state, stage):
                break
            then = self._advance(objective, now, step, em_step, state, slack, persons)
            if then is None:
                break
            state.curvature.learn(now, then)
            # Near the maximum the objective no longer rises visibly, while the steps still become shorter.
            better = then.value - now.value > slack * abs(now.value) or state.max_change < 0.5 * shortest
            idle, shortest = 0 if better else idle + 1, min(shortest, state.max_change)
            now = state.evaluation = then
            state.x = now.x
        log.debug(
            "%s, %d nodes, every %d. person: %d iterations, objective %.6f, change %.2e, gradient %.2e",
            stage.precision.__name__, stage.quadrature.points, stage.stride,
            state.iterations, now.value, state.max_change, state.max_gradient,
        )  # fmt: skip

    def _is_over(self, now: Evaluation, step: np.ndarray, state: _State, stage: _Stage) -> bool:
        state.max_change = float(np.abs(step).max(initial=0.0))
        state.max_gradient = _scaled_gradient(now, self._model)
        state.converged = state.max_change <= stage.tolerance and state.max_gradient <= 100 * stage.tolerance
        if stage.stride > 1:
            return state.converged or state.iterations >= _SAMPLE_ITERATIONS
        if self._progress:
            self._progress(state.iterations, now.loglik, state.max_change)
        if self._may_give_up and state.iterations >= _NEAR_ITERATIONS and state.max_change > _NEAR_STEP:
            raise NotNearError(state.iterations)
        has_runaways = self._has_runaways(now)
        state.lost = has_runaways and not state.converged
        return state.converged or state.lost or state.iterations >= self._max_iterations

    def _advance(
        self, objective: Objective, now: Evaluation, step: np.ndarray, em_step: EmStep, state: _State, slack: float,
        persons: np.ndarray | None,
    ) -> Evaluation | None:  # fmt: skip
        """The first candidate at which the objective is not lower; None if it is lower at all of them."""
        for candidate in self._candidates(objective, now, step, em_step, state.curvature):
            then = objective(self._model.tied(now.x + candidate), persons)
            state.iterations += 1
            if then.value >= now.value - slack * abs(now.value):
                return then
        return None

    def _has_runaways(self, now: Evaluation) -> bool:
        """Whether an item has been out of range for some iterations; a single long step may come back."""
        self._beyond = np.where(self._runaways(self._model, now), self._beyond + 1, 0)
        return bool(self._beyond.max(initial=0) >= _PATIENCE)

    def _candidates(
        self, objective: Objective, now: Evaluation, step: np.ndarray, em_step: EmStep, curvature: Curvature
    ) -> Iterator[np.ndarray]:
        """Steps to try, in this order, until one does not lower the objective."""
        if self._is_short(now.x, step):
            yield step
        curvature.forget()
        step = mstep(objective, now)
        n = self._model.n_items
        shared = em_step(now.gradient)[n:]
        step[n:] = np.clip(shared, -_SHARED_STEP, _SHARED_STEP)
        step[:n, 1] += along_common_slope(self._model, now, step)
        expansion = np.clip(em_step.expansion(now.gradient), -0.5, 0.5)
        expansion[n:] = 0.0
        yield step + expansion
        for _ in range(_HALVINGS):
            yield step
            step = 0.5 * step

    def _is_short(self, x: np.ndarray, step: np.ndarray) -> bool:
        """Whether the objective is likely to be as curved at the end of the step as here."""
        prior, n = self._model.priors.a, self._model.n_items
        if prior is not None and prior.dist == "lognormal" and (x[:n, 0] + step[:n, 0] <= 0.0).any():
            return False
        return bool((np.abs(step[:n]) <= LONGEST).all() and (np.abs(step[n:]) <= _SHARED_STEP).all())


def _scaled_gradient(evaluation: Evaluation, model: Model) -> float:
    """Largest derivative by a free parameter in units of 1 / (its complete-data standard error)."""
    information, n = np.ones_like(evaluation.gradient), model.n_items
    information[:n] = evaluation.information[:, [0, 2, 5]]
    information[n, COMMON_SLOPE] = evaluation.information[model.common, 0].sum()
    for g, part in enumerate(evaluation.expected):
        persons, (_, sd) = part.n_persons, model.latent(evaluation.x, g)
        information[n + g, LATENT_MEAN], information[n + g, LOG_LATENT_SD] = persons / sd**2, 2.0 * persons
        if part.information is not None:
            diagonal = np.diag(part.information)
            information[n + g, LATENT_MEAN:] = diagonal[:2]
            information[model.angle_rows(g)].reshape(-1)[: model.degree] = diagonal[2:]
    scaled = np.abs(evaluation.gradient) / np.sqrt(np.maximum(information, 1e-300))
    return float(scaled[model.free].max(initial=0.0))
