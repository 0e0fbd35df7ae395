"""Ability estimates: EAP for everyone, MAP and WLE on request.

EAP: mean and SD of the posterior on the grid (Bock & Mislevy 1982), or, where many answers or a wide prior make it too
narrow for the grid, on nodes around it. MAP: its mode, the SE from the curvature there.
WLE: Warm's (1989) estimator, the root of dlogL/dtheta + J / (2 I). (For 3PL items this differs from the maximum of
logL + log(I) / 2, which some programs call WLE.) Its SE comes from the slope of that equation at the root. A WLE is
limited to 1.5 times the range of the grid.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from irt_engine.answers.exclusion import apply_minimum, everyone
from irt_engine.answers.ids import take
from irt_engine.answers.responses import Responses
from irt_engine.cluster import connection, steps
from irt_engine.contract.scoring import ScoredItems
from irt_engine.contract.settings import Settings
from irt_engine.contract.strict import read
from irt_engine.errors import InputError
from irt_engine.estimation.posteriors import group_starts
from irt_engine.kernels import persons, tables
from irt_engine.kernels.narrow import RESOLVED
from irt_engine.kernels.threads import run
from irt_engine.model.quadrature import Quadrature
from irt_engine.scores.document import with_abilities

# Modes are searched for within this many times the range of the grid, in this number of intervals.
_REACH, _INTERVALS = 1.5, 96
# Parts of the persons on a cluster.
_GROUPS = 16


@dataclass(frozen=True)
class ItemParameters:
    """Item parameters for scoring: slopes, intercepts and probabilities of guessing, (J,) each."""

    slope: np.ndarray
    intercept: np.ndarray
    guessing: np.ndarray

    def take(self, items: np.ndarray) -> ItemParameters:
        return ItemParameters(self.slope[items], self.intercept[items], self.guessing[items])


class Answers(Protocol):
    """Answers by person, as in `Responses` and `Population`."""

    @property
    def offsets(self) -> np.ndarray: ...

    @property
    def codes(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Abilities:
    """Estimates and SEs of N persons, (N,) each; `others` has those of MAP and WLE."""

    theta: np.ndarray
    se: np.ndarray
    others: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def moved(self, slope: float, intercept: float) -> Abilities:
        """On the scale slope * theta + intercept."""
        others = {name: (slope * theta + intercept, slope * se) for name, (theta, se) in self.others.items()}
        return Abilities(slope * self.theta + intercept, slope * self.se, others)

    def to_arrow(self, responses: Responses) -> pa.Table:
        """One row per person, with the contract's fields as columns: strings, doubles and int64, without nulls.

        :raise ValueError: an estimate is not finite, which neither form of the contract can hold.
        """
        columns = {"user_id": responses.user_ids, "theta": _finite("theta", self.theta), "se": _finite("se", self.se)}
        columns["n_responses"] = _column(np.diff(responses.offsets), np.int64)
        if responses.group_ids is not None and responses.group is not None:
            columns["group"] = take(pa.array(responses.group_ids, pa.string()), responses.group)
        for name, (theta, se) in self.others.items():
            columns[name.lower()] = _finite(name, theta)
            columns[f"se_{name.lower()}"] = _finite(f"SE of {name}", se)
        return pa.table(columns)


def _finite(name: str, values: np.ndarray) -> pa.Array:
    if not np.isfinite(values).all():
        raise ValueError(f"abilities: {name} is not finite for every user")
    return _column(values, np.float64)


def _column(values: np.ndarray, kind: type) -> pa.Array:
    # `pa.array` would import pandas if it is installed, which is slow.
    buffer = pa.py_buffer(np.ascontiguousarray(values, kind))
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(values), [None, buffer])


@dataclass(frozen=True)
class Scores:
    """The outcome of `score`: abilities for the usable `responses`, and what was excluded."""

    responses: Responses
    abilities: Abilities
    excluded: dict[str, Any]
    timings: dict[str, float]

    def ability_table(self) -> pa.Table:
        """See `Abilities.to_arrow`."""
        return self.abilities.to_arrow(self.responses)

    def document(self) -> dict[str, Any]:
        """The contract's response without `abilities`."""
        rest = {"excluded": self.excluded, "n_repeats_dropped": self.responses.n_repeats_dropped}
        if self.responses.n_users != 1:
            return rest
        # For one user, the result is at the top level as well.
        return {"theta": float(self.abilities.theta[0]), "se": float(self.abilities.se[0])} | rest

    def to_contract(self) -> dict[str, Any]:
        """The contract's response, ready for JSON."""
        return with_abilities(self.document(), self.ability_table().to_pylist())


def score(
    responses: Responses,
    items: Sequence[Mapping[str, Any]],
    settings: Settings | None = None,
    *,
    latent: tuple[float, float] = (0.0, 1.0),
) -> Scores:
    """Estimate abilities with item parameters given.

    :param items: the contract's `{"item_id", "model", "params": {"a", "b", "c"?}}`.
    :param settings: grid, `scores` and `min_user_responses` are used.
    :param latent: mean and SD of the normal prior.
    :raise InputError: fields of `items` are wrong; the error names them.
    """
    started = time.perf_counter()
    settings = settings or Settings()
    given = dict(read(ScoredItems, {"items": items}).items)
    if not (np.isfinite(latent).all() and latent[1] > 0):
        raise InputError("latent", latent, "must be a finite mean and a positive standard deviation")
    exclusion = everyone(responses)
    for j, item in enumerate(responses.item_ids):
        if item not in given:
            exclusion.drop_item(j, "no parameters")
    kept = apply_minimum(responses, settings, exclusion)
    a, b, c = np.array([given[item] for item in kept.item_ids]).reshape(-1, 3).T
    parameters = ItemParameters(a.copy(), -a * b, c.copy())
    abilities = estimate_abilities(kept, parameters, settings, latent)
    timings = {"scores": time.perf_counter() - started}
    return Scores(kept, abilities, exclusion.to_contract(responses), timings)


def estimate_abilities(
    answers: Answers, parameters: ItemParameters, settings: Settings, latent: tuple[float, float],
    in_place: bool = True,
) -> Abilities:  # fmt: skip
    """EAP and the other estimates requested by the settings, under N(mean, SD^2) given as `latent`.

    :param in_place: whether to keep the settings' grid if it covers that distribution.
    """
    theta, se = _eap(answers, parameters, settings, latent, in_place)
    return Abilities(theta, se, modal_estimates(answers, parameters, settings, latent))


def _eap(
    answers: Answers, parameters: ItemParameters, settings: Settings, latent: tuple[float, float], in_place: bool
) -> tuple[np.ndarray, np.ndarray]:
    grid = settings.quadrature_points, settings.theta_min, settings.theta_max
    quadrature = Quadrature.for_scores(*grid, *latent) if in_place else Quadrature.normal(*grid).moved(*latent)
    nodes = quadrature.nodes
    table = np.empty((2 * parameters.slope.size, nodes.size))
    run(
        tables.fill_log_probability, parameters.slope, parameters.intercept, parameters.guessing, nodes, table,
        work=10.0 * table.size,
    )  # fmt: skip
    posteriors = np.empty((answers.offsets.size - 1, 3))
    run(
        persons.eap, answers.offsets, answers.codes, table, nodes, quadrature.log_weights, posteriors,
        work=float(answers.codes.size) * nodes.size,
    )  # fmt: skip
    _resolve(answers, parameters, quadrature, latent, posteriors)
    return posteriors[:, 1].copy(), posteriors[:, 2].copy()


def _resolve(
    answers: Answers, parameters: ItemParameters, quadrature: Quadrature, latent: tuple[float, float],
    posteriors: np.ndarray,
) -> None:  # fmt: skip
    """Integrate again, on finer nodes, for the persons whose posterior the grid does not resolve."""
    narrow = np.flatnonzero(posteriors[:, 2] < RESOLVED * quadrature.distance)
    ends = quadrature.nodes[0], quadrature.nodes[quadrature.points - 1]
    n_answers = int(np.diff(answers.offsets)[narrow].sum())
    run(
        persons.narrow_eap, narrow, answers.offsets, answers.codes, parameters.slope, parameters.intercept,
        parameters.guessing, *latent, *ends, quadrature.distance, posteriors, work=500.0 * n_answers,
    )  # fmt: skip


def modal_estimates(
    answers: Answers, parameters: ItemParameters, settings: Settings, latent: tuple[float, float]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """MAP and WLE with their SEs, as far as the settings request them."""
    mean, sd = latent
    reach = max(sd, 1.0) * _REACH
    grid = np.linspace(mean + reach * settings.theta_min, mean + reach * settings.theta_max, _INTERVALS + 1)
    estimates: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in settings.scores:
        if name == "EAP":
            continue
        arguments = parameters.slope, parameters.intercept, parameters.guessing, name == "WLE", mean, sd, grid
        if cluster := connection.current():
            starts = group_starts(answers.offsets, _GROUPS)
            result = np.concatenate(cluster.hold(answers.offsets, answers.codes, starts).map(steps.modal, arguments))
        else:
            result = np.empty((answers.offsets.size - 1, 2))
            run(persons.modal, answers.offsets, answers.codes, *arguments, result, work=1000.0 * answers.codes.size)
        estimates[name] = result[:, 0].copy(), result[:, 1].copy()
    return estimates


def marginal_reliability(se: np.ndarray, latent_sd: float) -> float:
    """Share of the latent variance that the EAP estimates recover, 1 - mean(SE^2) / variance (Green et al. 1984)."""
    return float(min(max(1.0 - (se**2).mean() / latent_sd**2, 0.0), 1.0))
