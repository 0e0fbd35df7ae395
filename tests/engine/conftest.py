"""The reference cases, and data sets for the engine's tests."""

from __future__ import annotations

import csv
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irt_engine import Calibration, Responses, Settings, calibrate

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "reference"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"))


class Reference:
    """Access to `tests/reference`."""

    @staticmethod
    @cache
    def responses(case: str) -> Responses:
        rows = Reference.table(case, next(path.name for path in (REFERENCE / case).glob("responses.csv*")))
        columns = ([row[name] for row in rows] for name in ("user_id", "item_id"))
        return Responses.from_columns(*columns, [int(row["is_correct"]) for row in rows])

    @staticmethod
    @cache
    def expected(case: str) -> dict[str, Any]:
        return json.loads((REFERENCE / case / "expected.json").read_text(encoding="utf-8"))

    @staticmethod
    @cache
    def table(case: str, name: str) -> list[dict[str, str]]:
        path = REFERENCE / case / name
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @staticmethod
    def anchors(case: str) -> list[dict[str, Any]]:
        rows = Reference.table(case, "anchors.csv")
        return [{"item_id": r["item_id"], "params": {"a": float(r["a"]), "b": float(r["b"])}} for r in rows]

    @staticmethod
    @cache
    def calibration(case: str, request: str = "{}") -> Calibration:
        """The calibration of a case by a request written as JSON; each is computed once."""
        return calibrate(Reference.responses(case), Settings.from_contract(json.loads(request)))


@pytest.fixture(scope="session")
def reference() -> type[Reference]:
    return Reference


def draw(n_users: int, n_items: int, *, seed: int, share: float = 1.0, guessing: float = 0.0) -> Responses:
    """Answers of `n_users` to about that `share` of the items."""
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
