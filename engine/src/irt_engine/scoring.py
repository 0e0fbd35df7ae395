"""Abilities by expected a posteriori (EAP) estimation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.errors import InputError
from irt_engine.estimation import Tables
from irt_engine.kernels import eap
from irt_engine.quadrature import normal_grid
from irt_engine.responses import Responses
from irt_engine.settings import Settings


@dataclass(frozen=True)
class Scores:
    """Ability and standard error of each person, (P,), and who could not be scored."""

    responses: Responses
    theta: np.ndarray
    se: np.ndarray
    unscored: list[dict[str, Any]]
    timings: dict[str, float]

    def to_contract(self) -> dict[str, Any]:
        """The contract's abilities, sorted by user, and the excluded."""
        return {
            "abilities": abilities(self.responses, self.theta, self.se),
            "excluded": {"items": [], "users": self.unscored},
        }


def score(responses: Responses, items: list[dict[str, Any]], settings: Settings) -> Scores:
    """Score persons with given item parameters; the prior is standard normal.

    :param items: `{"item_id", "params": {"a", "b"}}`.
    :raise InputError: an item is given twice or without its parameters.
    """
    started = time.perf_counter()
    known: dict[str, tuple[float, float]] = {}
    for n, entry in enumerate(items):
        try:
            item, params = str(entry["item_id"]), entry["params"]
            a, b = float(params["a"]), float(params["b"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"items[{n}]", entry, "needs item_id and params with the numbers a and b") from error
        if item in known or not np.isfinite([a, b]).all() or params.get("c"):
            raise InputError(f"items[{n}]", entry, "must be given once, with finite a and b, and no guessing")
        known[item] = (a, b)
    usable = np.array([item in known for item in responses.item_ids], bool)
    persons = np.zeros(len(responses.user_ids), bool)
    np.logical_or.at(persons, np.repeat(np.arange(len(persons)), np.diff(responses.start)), usable[responses.item])
    unscored = [
        {"user_id": user, "reason": "no answer to an item with parameters", "n_responses": 0}
        for user in responses.user_ids[~persons]
    ]
    kept = responses.keep(persons, usable)
    a, b = np.array([known[item] for item in kept.item_ids]).reshape(-1, 2).T
    theta, se = eap_scores(kept, a, -a * b, settings)
    return Scores(kept, theta, se, unscored, {"score": time.perf_counter() - started})


def eap_scores(
    responses: Responses, slope: np.ndarray, intercept: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """EAP and posterior standard deviation, (P,) each, for slopes and intercepts (I,)."""
    nodes, weights = normal_grid(settings.quadrature_points, settings.theta_min, settings.theta_max)
    tables = Tables.of(slope, intercept, nodes)
    return eap(responses.start, responses.item, responses.correct, tables.logp, np.log(weights), nodes)


def abilities(responses: Responses, theta: np.ndarray, se: np.ndarray) -> list[dict[str, Any]]:
    counts = np.diff(responses.start).tolist()
    rows = zip(responses.user_ids, theta.tolist(), se.tolist(), counts, strict=True)
    return [{"user_id": u, "theta": t, "se": s, "n_responses": n} for u, t, s, n in rows]
