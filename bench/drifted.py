"""Anchors that drifted: how many are found, and how many others are wrongly reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.drawing import answers, item_id
from irt_engine import CalibrationError, Settings, calibrate

ANCHORS, ITEMS, EACH, SHIFT = 50, 60, 27, 0.5
# Users, and the share of the drifted anchors that should be found.
POWERS = {500: 0.30, 3_000: 0.90, 20_000: 1.00}
MOVED = (0, 3, 10)
# The measured rate may differ from 5 % by this many SDs of the binomial.
_CHANCE = 2.5
# Larger banks need fewer replications, because results vary less.
_REPLICATIONS_AT = {500: 1.0, 3_000: 0.25, 20_000: 0.05}


@dataclass
class Found:
    """Over all `banks`: drifted anchors that were found, `false` discoveries, and the banks with any."""

    moved: int
    banks: int = 0
    hits: int = 0
    false: int = 0
    banks_with_false: int = 0
    false_shares: float = 0.0

    def add(self, drifted: set[str], reported: set[str]) -> None:
        false = len(reported - drifted)
        self.banks += 1
        self.hits += len(reported & drifted)
        self.false += false
        self.banks_with_false += false > 0
        self.false_shares += false / max(len(reported), 1)

    @property
    def power(self) -> float:
        return self.hits / max(self.moved * self.banks, 1)

    @property
    def false_rate(self) -> float:
        """Mean share of false discoveries; without drift, the share of banks with any."""
        return self.false_shares / self.banks


def run(replications: int, seed: int, console: Console) -> bool:
    """:return: whether the powers are reached and the rate of false discoveries is 5 % within chance."""
    table = Table(title="anchors that drifted by 0.5, of 50", title_justify="left", box=None, pad_edge=False)
    for name in ("users", "drifted", "banks", "found, %", "wanted, %", "false discoveries, %", ""):
        table.add_column(name, justify="right" if name else "left")
    fine = True
    for users, wanted in POWERS.items():
        for moved in MOVED:
            found = _replicate(users, moved, max(8, int(replications * _REPLICATIONS_AT[users])), seed, console)
            limit = 0.05 + _CHANCE * np.sqrt(0.05 * 0.95 / found.banks)
            good = (not moved or found.power >= wanted - 1e-9) and found.false_rate <= limit
            fine &= good
            table.add_row(
                f"{users:,}", str(moved), str(found.banks), f"{100 * found.power:.0f}" if moved else "",
                f"{100 * wanted:.0f}" if moved else "", f"{100 * found.false_rate:.1f}", "" if good else "missed",
            )  # fmt: skip
    console.print(table)
    return fine


def _replicate(users: int, moved: int, banks: int, seed: int, console: Console) -> Found:
    found = Found(moved)
    for number in track(range(banks), f"{users:,} users, {moved} drifted", console=console, transient=True):
        rng = np.random.default_rng([seed, users, moved, number])
        a, b = rng.lognormal(0.1, 0.3, ITEMS), rng.normal(0, 1, ITEMS)
        which = rng.choice(ANCHORS, moved, replace=False)
        now = b.copy()
        now[which] += SHIFT * rng.choice([-1.0, 1.0], moved)
        responses = answers(rng, rng.normal(0.3, 1.1, users), a, now, share=EACH / ITEMS)
        anchors = [{"item_id": item_id(j), "params": {"a": float(a[j]), "b": float(b[j])}} for j in range(ANCHORS)]
        request = {"anchors": anchors, "linking": {"method": "stocking_lord"}}
        try:
            spec = calibrate(responses, Settings.from_contract(request)).to_contract()["fit_meta"]["model_spec"]
        except CalibrationError as error:
            console.print(f"{users} users, {moved} drifted, bank {number}: {error}")
            continue
        reported = {row["item_id"] for row in spec["linking_anchors"] if not row["used"]}
        found.add({item_id(j) for j in which}, reported)
    return found
