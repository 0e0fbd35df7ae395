"""Answers drawn from given items, for the benchmarks of recovery."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from irt_engine import Responses


def item_id(number: int) -> str:
    return f"q{number:04d}"


def answers(
    rng: np.random.Generator, theta: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray | float = 0.0,
    share: float = 1.0,
) -> Responses:  # fmt: skip
    """Each person answers this share of the items, drawn at random."""
    shape = (theta.size, a.size)
    right = rng.random(shape) < c + (1 - c) / (1 + np.exp(-a * (theta[:, None] - b)))
    user, item = np.nonzero(rng.random(shape) < share)
    names = pa.array([f"u{u:06d}" for u in range(shape[0])]), pa.array([item_id(i) for i in range(shape[1])])
    columns = (pa.DictionaryArray.from_arrays(pa.array(code), name) for code, name in zip((user, item), names))
    return Responses.from_columns(*columns, right[user, item])
