"""The data sets of `./irt bench engine`, drawn from a seed and written once, in formats that every peer can read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from irt_engine import simulate


@dataclass(frozen=True)
class Case:
    """Each of `users` gives `answers` to some of the `items`; with these seeds, every item can be estimated.

    `prior`: whether 3PL has a prior on guessing.
    """

    name: str
    users: int
    items: int
    answers: int
    model: str
    seed: int = 1
    prior: bool = True

    @property
    def size(self) -> int:
        return self.users * self.answers

    @property
    def cells(self) -> int:
        return self.users * self.items

    def __str__(self) -> str:
        prior = "" if self.prior else " without a prior on guessing"
        each = "complete" if self.answers == self.items else f"{self.answers} each"
        return f"{self.users:,} × {self.items:,} {each}, {self.model}{prior}, {self.size:,} answers"


CASES = {
    case.name: case
    for case in (
        Case("12k", 247, 150, 50, "2PL", seed=3),
        Case("0.5M", 10_000, 150, 50, "2PL"),
        Case("0.5M-rasch", 10_000, 150, 50, "Rasch"),
        Case("0.6M-3pl", 10_000, 60, 60, "3PL"),
        Case("0.6M-3pl-flat", 10_000, 60, 60, "3PL", prior=False),
        Case("2M", 50_000, 1_000, 40, "2PL"),
        Case("10M", 200_000, 2_000, 50, "2PL"),
        Case("50M", 1_000_000, 5_000, 50, "2PL"),
    )
}
# For the extraction: more than the engine is compared with its peers on.
LARGEST = Case("100M", 2_000_000, 5_000, 50, "2PL")


def write(case: Case, folder: Path) -> Path:
    """Returns the folder with the case's answers: `responses.parquet`, and the same as plain int32 and int8 arrays."""
    target = folder / case.name
    if (target / "meta.json").exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    drawn = simulate(case.users, case.items, case.answers, model=case.model, seed=case.seed).observations
    pq.write_table(drawn, target / "responses.parquet")
    for name in ("user_id", "item_id"):
        drawn[name].combine_chunks().indices.to_numpy().astype(np.int32).tofile(target / f"{name}.i32")
    drawn["is_correct"].to_numpy().astype(np.int8).tofile(target / "is_correct.i8")
    meta = {"n_users": case.users, "n_items": case.items, "model": case.model, "prior": case.prior}
    (target / "meta.json").write_text(json.dumps(meta))
    return target
