"""Items whose difficulty changed: how many are found, how well they are dated, and how often there is a false alarm."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.drawing import item_id
from irt_engine import Responses, Settings, calibrate

ITEMS, EACH, DAYS = 150, 27, 90
_DAY = 86_400_000_000
# The measured rate may differ from 5 % by this many SDs of the binomial.
_CHANCE = 2.5
_COLUMNS = (
    "change of b", "answers a side", "growth", "at once", "banks", "false alarms, %", "found, %", "bias",
    "days off", "",
)  # fmt: skip
_RULES = {"verdicts": {"changed": {"action": "warn", "limit": 0.0}}}


@dataclass(frozen=True)
class Case:
    """One item changes by `shift` at a random moment, with about this many answers before and after.

    :ivar growth: of all abilities over the window.
    :ivar gradual: the item changes day by day instead, which is not to be reported as a change.
    """

    shift: float
    a_side: int
    growth: float = 0.0
    gradual: bool = False


CASES = (
    Case(0.0, 200), Case(0.0, 200, growth=0.5), Case(0.5, 200), Case(1.0, 200), Case(0.5, 1000), Case(1.0, 1000),
    Case(1.0, 1000, gradual=True),
)  # fmt: skip


@dataclass
class Tally:
    """Over all `banks`: those with a false alarm, and the figure and day, minus the true ones, of changes found."""

    banks: int = 0
    false: int = 0
    sizes: list[float] = field(default_factory=list)
    days: list[float] = field(default_factory=list)


def run(replications: int, seed: int, console: Console) -> bool:
    """:return: whether banks with a false alarm are 5 % at most, within chance."""
    table = Table(title=f"items of {ITEMS} that changed", title_justify="left", box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name else "left")
    fine = True
    for case in CASES:
        tally = _replicate(case, max(8, replications * 200 // case.a_side), seed, console)
        good = tally.false / tally.banks <= 0.05 + _CHANCE * np.sqrt(0.05 * 0.95 / tally.banks)
        fine &= good
        found = [
            f"{100 * len(tally.sizes) / tally.banks:.0f}",
            f"{np.mean(tally.sizes):+.2f}" if tally.sizes else "",
            f"{np.median(tally.days):.1f}" if tally.sizes else "",
        ]
        table.add_row(
            f"{case.shift:.1f}", f"{case.a_side:,}", f"{case.growth:.1f}", "no" if case.gradual else "yes",
            str(tally.banks),
            f"{100 * tally.false / tally.banks:.1f}", *(found if case.shift else ["", "", ""]),
            "" if good else "missed",
        )  # fmt: skip
    console.print(table)
    return fine


def _replicate(case: Case, banks: int, seed: int, console: Console) -> Tally:
    tally, settings = Tally(), Settings.from_contract(_RULES)
    caption = f"change of {case.shift} at {case.a_side} a side"
    for number in track(range(banks), caption, console=console, transient=True):
        rng = np.random.default_rng([seed, int(10 * case.shift), case.a_side, int(10 * case.growth), number])
        day = rng.uniform(0.4, 0.6) * DAYS
        by = case.shift * rng.choice([-1.0, 1.0])
        result = calibrate(_drawn(rng, case, day, by), settings).to_contract()
        reasons = {row["item_id"]: each for row in result["item_params"] for each in row["verdict"]["reasons"]}
        found = reasons.pop(item_id(0), None) if case.shift else None
        tally.banks += 1
        tally.false += bool(reasons)
        if found:
            at = np.datetime64(found["at"].removesuffix("Z"), "us").astype(int)
            tally.sizes.append(np.sign(by) * (found["figure"] - by))
            tally.days.append(abs(at / _DAY - day))
    return tally


def _drawn(rng: np.random.Generator, case: Case, day: float, by: float) -> Responses:
    users = 2 * case.a_side * ITEMS // EACH
    a, b, theta = rng.lognormal(0.1, 0.3, ITEMS), rng.normal(0, 1, ITEMS), rng.normal(0, 1, users)
    user, item = np.nonzero(rng.random((users, ITEMS)) < EACH / ITEMS)
    when = rng.uniform(0, DAYS, users)[user]
    difficulty = b[item] + by * (item == 0) * (when / DAYS if case.gradual else when >= day)
    right = rng.random(user.size) < 1 / (1 + np.exp(-a[item] * (theta[user] + case.growth * when / DAYS - difficulty)))
    names = pa.array([item_id(j) for j in range(ITEMS)])
    items = pa.DictionaryArray.from_arrays(pa.array(item.astype(np.int32)), names)
    times = pa.array((when * _DAY).astype(np.int64)).cast(pa.timestamp("us", "UTC"))
    return Responses.from_columns(user, items, right, responded_at=times, timed=True)
