"""Simulated answers with known parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from irt_engine.contract.names import MODELS
from irt_engine.errors import InputError

# Persons are drawn in blocks, so that memory does not grow with persons x items.
_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True)
class Simulation:
    """Answers and the truth behind them.

    :ivar observations: table of user_id, item_id (dictionary-encoded strings) and is_correct (bool).
    :ivar items: table of item_id, a, b, c; `persons`: table of user_id, theta.
    """

    observations: pa.Table
    items: pa.Table
    persons: pa.Table


def simulate(
    n_users: int,
    n_items: int,
    answers_per_user: int | None = None,
    *,
    model: str = "2PL",
    mean: float = 0.0,
    sd: float = 1.0,
    seed: int = 0,
) -> Simulation:
    """Draw a bank, persons, and answers to items drawn for each person without replacement.

    theta ~ N(`mean`, `sd`^2); a ~ lognormal(0, 0.3^2), or 1 (Rasch), or 1.2 (1PL); b ~ N(0, 1); c ~ U(0.1, 0.3) (3PL).

    :param answers_per_user: answers per person; to all items if None.
    :raise InputError: an argument is out of range; the error names it.
    """
    answers = n_items if answers_per_user is None else answers_per_user
    _check(n_users, n_items, answers, model, sd)
    rng = np.random.default_rng(seed)
    a = {"Rasch": np.ones(n_items), "1PL": np.full(n_items, 1.2)}.get(model)
    a = rng.lognormal(0.0, 0.3, n_items) if a is None else a
    b = rng.normal(0.0, 1.0, n_items)
    c = rng.uniform(0.1, 0.3, n_items) if model == "3PL" else np.zeros(n_items)
    theta = rng.normal(mean, sd, n_users)
    item = _draw_items(rng, n_users, n_items, answers)
    user = np.repeat(np.arange(n_users, dtype=np.int32), answers)
    right = _draw_answers(rng, user, item, theta, (a, b, c))
    user_ids, item_ids = _ids("u", n_users), _ids("q", n_items)
    observations = {
        "user_id": pa.DictionaryArray.from_arrays(pa.array(user), user_ids),
        "item_id": pa.DictionaryArray.from_arrays(pa.array(item), item_ids),
        "is_correct": pa.array(right),
    }
    return Simulation(
        pa.table(observations),
        pa.table({"item_id": item_ids, "a": a, "b": b, "c": c}),
        pa.table({"user_id": user_ids, "theta": theta}),
    )


def _check(n_users: int, n_items: int, answers: int, model: str, sd: float) -> None:
    if n_users < 1:
        raise InputError("n_users", n_users, "must be at least 1")
    if n_items < 1:
        raise InputError("n_items", n_items, "must be at least 1")
    if not 1 <= answers <= n_items:
        raise InputError("answers_per_user", answers, f"must be from 1 to the number of items, {n_items}")
    if model not in MODELS:
        raise InputError("model", model, f"must be one of {', '.join(MODELS)}")
    if not (np.isfinite(sd) and sd > 0):
        raise InputError("sd", sd, "must be a positive number")


def _ids(letter: str, n: int) -> pa.Array:
    width = len(str(n))
    return pa.array([f"{letter}{number:0{width}d}" for number in range(1, n + 1)])


def _draw_items(rng: np.random.Generator, n_users: int, n_items: int, answers: int) -> np.ndarray:
    if answers == n_items:
        return np.tile(np.arange(n_items, dtype=np.int32), n_users)
    item = np.empty((n_users, answers), np.int32)
    rows = max(1, _BLOCK_CELLS // n_items)
    for start in range(0, n_users, rows):
        keys = rng.random((min(rows, n_users - start), n_items), dtype=np.float32)
        item[start : start + rows] = np.sort(np.argpartition(keys, answers, axis=1)[:, :answers], axis=1)
    return item.ravel()


def _draw_answers(
    rng: np.random.Generator, user: np.ndarray, item: np.ndarray, theta: np.ndarray, truth: tuple[np.ndarray, ...]
) -> np.ndarray:
    a, b, c = truth
    right = np.empty(user.size, bool)
    for start in range(0, user.size, _BLOCK_CELLS):
        part = slice(start, start + _BLOCK_CELLS)
        j = item[part]
        probability = c[j] + (1.0 - c[j]) / (1.0 + np.exp(-a[j] * (theta[user[part]] - b[j])))
        right[part] = rng.random(j.size) < probability
    return right
