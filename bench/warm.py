"""A night that starts at the parameters of the night before: iterations and seconds, and whether the estimates agree.

Answers are spread over 61 days; the window of 60 days moves on by one.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench.cases import CASES, Case
from irt_engine import Calibration, Responses, Settings, calibrate, simulate

_WINDOW = 60
Start = list[dict[str, Any]]


def run(arguments: argparse.Namespace) -> int:
    console = Console(width=max(100, Console().width))
    console.print(f"{os.cpu_count()} processors; the window of {_WINDOW} days moves on by one; fit alone, median")
    for name in (each.strip() for each in arguments.cases.split(",")):
        if name not in CASES:
            raise SystemExit(f"irt bench: unknown case {name!r}; choose from {', '.join(CASES)}")
        console.print(_table(CASES[name], arguments.repeat))
    return 0


def _table(case: Case, repeat: int) -> Table:
    yesterday, today = _nights(case)
    before = calibrate(yesterday, _settings(case, None))
    known = _start(before)
    others = [row | {"params": other["params"]} for row, other in zip(known, reversed(known), strict=True)]
    kinds = {"cold": None, "warm": known, "start of other items": others}
    found = _measured(lambda start: calibrate(today, _settings(case, start)), kinds, repeat)
    cold = found["cold"][0]
    table = Table(title=f"[bold]{case.name}[/bold]: {case}", title_justify="left", box=None, pad_edge=False)
    for column in ("start", "began", "iterations", "fit, s", "Δ a", "Δ b", "Δ θ"):
        table.add_column(column, justify="left" if column in ("start", "began") else "right")
    for kind, (result, seconds) in found.items():
        began = result.to_contract()["fit_meta"]["metrics"].get("start", "")
        apart = [] if kind == "cold" else [f"{difference:.1e}" for difference in _apart(result, cold)]
        table.add_row(kind, began, str(result.iterations), f"{seconds:.3f}", *apart)
    moved = _apart(before, cold)[:2]
    table.add_row("the night before", "", "", "", *(f"{difference:.1e}" for difference in moved))
    return table


def _nights(case: Case) -> list[Responses]:
    """The answers of two windows, of about `case.size` each."""
    answers = min(case.items, round(case.answers * (_WINDOW + 1) / _WINDOW))
    drawn = simulate(case.users, case.items, answers, model=case.model, seed=case.seed).observations
    day = np.random.default_rng(case.seed).integers(0, _WINDOW + 1, drawn.num_rows)
    return [Responses.from_table(drawn.filter(pa.array((first <= day) & (day < first + _WINDOW)))) for first in (0, 1)]


def _settings(case: Case, start: Start | None) -> Settings:
    priors = {} if case.prior else {"priors": {"c": None}}
    options = priors | ({} if start is None else {"start": start})
    return Settings.from_contract({"model": case.model, "options": options})


def _start(found: Calibration) -> Start:
    return [{"item_id": row["item_id"], "params": row["params"]} for row in found.to_contract()["item_params"]]


def _measured(
    fit: Callable[[Start | None], Calibration], kinds: dict[str, Start | None], repeat: int
) -> dict[str, tuple[Calibration, float]]:
    """A result of each kind and the median of its seconds; the kinds take turns."""
    results = {kind: fit(start) for kind, start in kinds.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(repeat):
        for kind, start in kinds.items():
            seconds[kind].append(fit(start).timings["fit"])
    return {kind: (results[kind], statistics.median(seconds[kind])) for kind in kinds}


def _apart(one: Calibration, other: Calibration) -> list[float]:
    """Largest differences of a, b and θ."""
    values = np.abs(one.items.values - other.items.values)
    return [float(values[:, 0].max()), float(values[:, 1].max()), _theta(one, other)]


def _theta(one: Calibration, other: Calibration) -> float:
    if one.abilities.theta.size != other.abilities.theta.size:
        return float("nan")
    return float(np.abs(one.abilities.theta - other.abilities.theta).max())
