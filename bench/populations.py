"""Several populations, and abilities that are not normal: the effect of the latent distribution on difficulties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.drawing import answers, item_id
from irt_engine import Responses, Settings, calibrate

_Z = 1.959964
# Largest bias of b, and of the mean ability, with populations; bounds of the share of intervals that cover the true
# value.
_BIAS, _LOW, _HIGH = 0.02, 0.93, 0.97
OWN, COMMON, USERS = 40, 10, 3000
GRADES = ((0.0, 1.0), (1.5, 0.7))
NEW, ANCHORS, SKEWED_USERS = 30, 15, 2000


def run(replications: int, seed: int, console: Console) -> bool:
    """:return: whether the biases for two grades are below 0.02, and the intervals for skewed abilities cover well."""
    banks = max(4, replications // 10)
    return _two_grades(banks, seed, console) & _skewed(banks, seed, console)


def _two_grades(banks: int, seed: int, console: Console) -> bool:
    title = f"two grades, N(0, 1) and N(1.5, 0.7²), {OWN} own items each, {COMMON} in common (all anchors)"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("method", "populations", "bias of b", "slopes, ×", "bias of mean θ", "banks", ""):
        table.add_column(name, justify="left" if name in ("method", "populations", "") else "right")
    fine = True
    for method in ("stocking_lord", "fixed"):
        for groups in (False, True):
            rng = np.random.default_rng([seed, 41])
            found = np.array(
                [_grades(rng, method, groups) for _ in track(range(banks), title, console=console, transient=True)]
            )
            (bias, slope, mean), error = found.mean(axis=0), found.std(axis=0) / np.sqrt(banks)
            good = bool((np.abs(bias) <= _BIAS + 2 * error[0]).all() and (np.abs(mean) <= _BIAS + 2 * error[2]).all())
            fine &= good or not groups
            row = (" / ".join(f"{value:{kind}}" for value in values) for values, kind in (
                (bias, "+.3f"), (slope, ".3f"), (mean, "+.3f")))  # fmt: skip
            table.add_row(method, "two" if groups else "one", *row, str(banks), "" if good else "biased")
    console.print(table)
    return fine


def _grades(rng: np.random.Generator, method: str, groups: bool) -> np.ndarray:
    """(3, 2): for both grades the bias of b of the own items, the median ratio of slopes, and the bias of mean θ."""
    n = 2 * OWN + COMMON
    a = rng.lognormal(0.1, 0.3, n)
    b = np.r_[rng.normal(0, 0.9, OWN), rng.normal(1.5, 0.9, OWN), rng.normal(0.75, 0.8, COMMON)]
    columns: dict[str, list[Any]] = {"user": [], "item": [], "right": []}
    for g, (mean, sd) in enumerate(GRADES):
        items, theta = np.r_[g * OWN : (g + 1) * OWN, 2 * OWN : n], rng.normal(mean, sd, USERS)
        right = rng.random((USERS, items.size)) < 1 / (1 + np.exp(-a[items] * (theta[:, None] - b[items])))
        columns["user"].append(np.repeat(np.arange(g * USERS, (g + 1) * USERS), items.size))
        columns["item"].append(np.tile(items, USERS))
        columns["right"].append(right.ravel())
    user, item, right = (np.concatenate(values) for values in columns.values())
    responses = Responses.from_columns(
        user, _named(item, n), right, group=pa.array(np.where(user < USERS, "A", "B")) if groups else None
    )
    anchors = [_anchor(j, a, b) for j in range(2 * OWN, n)]
    # None drifts here, so none may be dropped by chance; a single population distorts the anchors beyond the default
    # limits.
    linking = {"method": method, "drift_alpha": 0, "max_rmsd": 1}
    result = calibrate(responses, Settings.from_contract({"anchors": anchors, "linking": linking}))
    rows = np.array([int(item[1:]) for item in result.responses.item_ids])
    values = np.empty((n, 2))
    values[rows] = result.items.values[:, :2]
    theta_of = np.array([int(user) for user in result.responses.user_ids.to_pylist()]) >= USERS
    own = [slice(g * OWN, (g + 1) * OWN) for g in range(2)]
    return np.array(
        [
            [(values[each, 1] - b[each]).mean() for each in own],
            [np.median(values[each, 0] / a[each]) for each in own],
            [result.abilities.theta[theta_of == g].mean() - GRADES[g][0] for g in range(2)],
        ]
    )


@dataclass
class Intervals:
    """Errors of b of the new items, (banks,) of arrays (NEW,), and whether their intervals cover the true values."""

    errors: list[np.ndarray] = field(default_factory=list)
    held: list[np.ndarray] = field(default_factory=list)


def _skewed(banks: int, seed: int, console: Console) -> bool:
    title = (
        f"skewed abilities (χ² with 2 degrees of freedom), {ANCHORS} anchors of {ANCHORS + NEW} items, Stocking-Lord"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("latent", "bias of b", "easy third", "hard third", "RMSE", "covered, %", "banks", ""):
        table.add_column(name, justify="left" if name in ("latent", "") else "right")
    rng = np.random.default_rng([seed, 42])
    b = np.r_[np.linspace(-1.5, 1.5, ANCHORS), np.linspace(-1.8, 1.8, NEW)]
    a = rng.lognormal(0.2, 0.2, b.size)
    found = {latent: Intervals() for latent in ("normal", "davidian", "histogram")}
    for _ in track(range(banks), title, console=console, transient=True):
        theta = (rng.chisquare(2, SKEWED_USERS) - 2.0) / 2.0
        responses = answers(rng, theta, a, b)
        for latent, tally in found.items():
            _add(tally, responses, a, b, latent)
    fine = True
    for latent, tally in found.items():
        errors, covered = np.array(tally.errors), float(np.array(tally.held).mean())
        good = _LOW <= covered <= _HIGH
        fine &= good or latent != "davidian"
        table.add_row(
            latent, f"{errors.mean():+.3f}", f"{errors[:, : NEW // 3].mean():+.3f}",
            f"{errors[:, -(NEW // 3) :].mean():+.3f}", f"{np.sqrt((errors**2).mean()):.3f}", f"{100 * covered:.1f}",
            str(banks), "" if good else "outside 93 to 97",
        )  # fmt: skip
    console.print(table)
    return fine


def _add(tally: Intervals, responses: Responses, a: np.ndarray, b: np.ndarray, latent: str) -> None:
    anchors = [_anchor(j, a, b) for j in range(ANCHORS)]
    linking = {"method": "stocking_lord", "drift_alpha": 0, "max_rmsd": 1}
    request = {"anchors": anchors, "linking": linking, "options": {"latent": latent}}
    result = calibrate(responses, Settings.from_contract(request))
    rows = np.array([int(item[1:]) for item in result.responses.item_ids])
    values, errors = np.full(b.size, np.nan), np.full(b.size, np.nan)
    values[rows], errors[rows] = result.items.values[:, 1], result.items.errors[:, 1]
    off = (values - b)[ANCHORS:]
    tally.errors.append(off)
    tally.held.append(np.abs(off) <= _Z * errors[ANCHORS:])


def _anchor(j: int, a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    return {"item_id": item_id(j), "params": {"a": float(a[j]), "b": float(b[j])}}


def _named(item: np.ndarray, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(item.astype(np.int32)), pa.array([item_id(j) for j in range(n)]))
