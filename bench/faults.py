"""Faults of a bank that a calibration reports: unlinked halves, a flipped key, anchors of the wrong items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench.drawing import item_id
from irt_engine import CalibrationError, Responses, Settings, calibrate

ITEMS, ANCHORS = 150, 50


def run(seed: int, console: Console) -> bool:
    """:return: whether each fault is found, and changes b of the other items by less than 0.02."""
    table = Table(title="faults of a bank", title_justify="left", box=None, pad_edge=False)
    for name in ("fault", "found", ""):
        table.add_column(name)
    fine = True
    for fault, look in (
        ("two halves that share neither users nor items, anchors in one", _halves),
        (f"one key of {ITEMS} flipped", _flipped),
        (f"{ANCHORS} anchors joined to the wrong items", _permuted),
    ):
        found, good = look(np.random.default_rng([seed, 43]))
        fine &= good
        table.add_row(fault, found, "" if good else "not found")
    console.print(table)
    return fine


def _halves(rng: np.random.Generator) -> tuple[str, bool]:
    half = ITEMS // 2
    a, b = _items(rng)
    parts = [
        _drawn(rng, rng.normal(mean, 1.0, 1000), a[rows], b[rows], first_user=1000 * k, first_item=half * k)
        for k, (mean, rows) in enumerate(((-1.0, slice(0, half)), (1.0, slice(half, ITEMS))))
    ]
    columns = [np.concatenate(both) for both in zip(*parts, strict=True)]
    request = {"anchors": _anchors(a, b, range(20)), "linking": {"method": "stocking_lord"}}
    excluded = calibrate(_responses(*columns), Settings.from_contract(request)).to_contract()["excluded"]["items"]
    lost = {row["item_id"] for row in excluded if row["reason"] == "not linked"}
    return f"{len(lost)} items are not linked, and not calibrated", lost == {item_id(j) for j in range(half, ITEMS)}


def _flipped(rng: np.random.Generator) -> tuple[str, bool]:
    a, b = _items(rng)
    user, item, right = _drawn(rng, rng.normal(0.0, 1.0, 1500), a, b, share=0.3)
    rules = {"verdicts": {"reversed": {"action": "hold", "limit": 2}}}
    wrong = calibrate(_responses(user, item, right ^ (item == 7)), Settings.from_contract(rules)).to_contract()
    without = calibrate(_responses(user[item != 7], item[item != 7], right[item != 7]), Settings()).to_contract()
    known = {row["item_id"]: row["params"]["b"] for row in without["item_params"]}
    largest = max(abs(row["params"]["b"] - known[row["item_id"]]) for row in wrong["item_params"])
    held = [row["item_id"] for row in wrong["held"]]
    return f"{', '.join(held)} is held; b of the others changes by at most {largest:.4f}", (
        held == [item_id(7)] and largest < 0.02
    )


def _permuted(rng: np.random.Generator) -> tuple[str, bool]:
    a, b = _items(rng)
    columns = _drawn(rng, rng.normal(0.0, 1.0, 1500), a, b, share=0.3)
    order = rng.permutation(ANCHORS)
    anchors = _anchors(a, b, range(ANCHORS))
    moved = [anchor | {"params": anchors[place]["params"]} for anchor, place in zip(anchors, order, strict=True)]
    try:
        calibrate(_responses(*columns), Settings.from_contract({"anchors": moved, "linking": {"method": "fixed"}}))
    except CalibrationError as error:
        return str(error).split(". Are")[0], True
    return "calibrated", False


def _items(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.lognormal(0.0, 0.25, ITEMS), rng.normal(0.0, 1.0, ITEMS)


def _drawn(
    rng: np.random.Generator, theta: np.ndarray, a: np.ndarray, b: np.ndarray, *, share: float = 1.0,
    first_user: int = 0, first_item: int = 0,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    right = rng.random((theta.size, a.size)) < 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    user, item = np.nonzero(rng.random(right.shape) < share)
    return user + first_user, item + first_item, right[user, item]


def _responses(user: np.ndarray, item: np.ndarray, right: np.ndarray) -> Responses:
    names = pa.array([item_id(j) for j in range(ITEMS)])
    return Responses.from_columns(user, pa.DictionaryArray.from_arrays(pa.array(item.astype(np.int32)), names), right)


def _anchors(a: np.ndarray, b: np.ndarray, rows: range) -> list[dict[str, Any]]:
    return [{"item_id": item_id(j), "params": {"a": float(a[j]), "b": float(b[j])}} for j in rows]
