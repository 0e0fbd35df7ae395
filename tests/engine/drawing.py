"""Drawn answers for the engine's tests."""

from __future__ import annotations

import numpy as np

from irt_engine import Responses


def draw(n_users: int, n_items: int, *, seed: int, share: float = 1.0, guessing: float = 0.0) -> Responses:
    """Answers of `n_users` to about this `share` of the items."""
    columns = draw_columns(n_users, n_items, seed=seed, share=share, guessing=guessing)
    return Responses.from_columns(*columns)


def draw_columns(
    n_users: int, n_items: int, *, seed: int, share: float = 1.0, guessing: float = 0.0
) -> tuple[list[str], list[str], list[int]]:
    rng = np.random.default_rng(seed)
    theta, a, b = rng.normal(size=n_users), rng.lognormal(0.0, 0.3, n_items), rng.normal(size=n_items)
    probability = guessing + (1 - guessing) / (1 + np.exp(-a * (theta[:, None] - b)))
    right = rng.random((n_users, n_items)) < probability
    user, item = np.nonzero(rng.random((n_users, n_items)) < share)
    return [f"u{u:05d}" for u in user], [f"q{i:03d}" for i in item], right[user, item].astype(int).tolist()
