"""The answers behind each item of a calibration: how many were right by ability, and on each day.

By ability, each answer counts at each of a few abilities by the weight that the user's posterior has there, taken as
normal with mean EAP and SD SE. So the shares follow the item's curve where the model fits; shares by bands of the EAP
itself would not, because the EAP contains the answer. The item statistic RMSD sums up the same comparison: Köhler,
Robitzsch & Hartig (2020), Journal of Educational and Behavioral Statistics 45(3), 251-273.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from irt.responses import TIME
from irt.run import Run
from irt.staging import ABILITIES, RESPONSES

# Abilities, in SDs from the mean.
_NODES = np.arange(-3.0, 3.01, 0.5)
_DAY = np.timedelta64(1, "D")


def item_answers(run: Run) -> pa.Table:
    """Count a run's staged answers.

    :return: one row per item that was answered by users with an ability: the columns of `irt.load_item_answers` without
        the load.
    :raise FileNotFoundError: the run's objects are no longer staged.
    """
    with run.staged(ABILITIES).open("rb") as file:
        abilities = pq.read_table(file, columns=["user_id", "theta", "se"])
    users = _Users.of(abilities)
    with run.staged(RESPONSES).open("rb") as file:
        staged = pq.ParquetFile(file)
        items = _items(staged)
        counts = _Counts(items, _days(staged) if TIME in staged.schema_arrow.names else None)
        for group in range(staged.num_row_groups):
            counts.add(staged.read_row_group(group), users)
    return counts.table(users.nodes)


@dataclass(frozen=True)
class _Users:
    """Who has an ability; `weights` (users, abilities) are their posteriors."""

    ids: pa.Array
    nodes: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, abilities: pa.Table) -> _Users:
        theta, se = (abilities[name].to_numpy() for name in ("theta", "se"))
        known = np.isfinite(theta) & np.isfinite(se) & (se > 0)
        theta, se = theta[known], se[known]
        # Rounding may leave equal abilities an SD.
        mean, sd = theta.mean() if len(theta) else 0.0, theta.std() if len(np.unique(theta)) > 1 else 1.0
        nodes = mean + sd * _NODES
        weights = np.empty((len(theta), len(nodes)), np.float32)
        for n, node in enumerate(nodes):
            # Within float32, also far from an ability without an error.
            weights[:, n] = np.maximum(-0.5 * ((node - theta) / se) ** 2, -1e30)
        # Relative to the largest, so that a narrow posterior between two abilities does not vanish.
        weights = np.exp(weights - weights.max(axis=1, keepdims=True, initial=-np.inf))
        weights /= weights.sum(axis=1, keepdims=True)
        return cls(_plain(abilities["user_id"]).filter(pa.array(known)), nodes, weights)


class _Counts:
    """Sums over the answers, part by part: (abilities, items) and (days, items)."""

    def __init__(self, items: pa.Array, days: tuple[np.datetime64, int] | None) -> None:
        self._items, self._days = items, days
        self._answers, self._correct, self._squares = (np.zeros((len(_NODES), len(items))) for _ in range(3))
        n_days = days[1] if days else 0
        self._day_answers, self._day_correct = (np.zeros((n_days, len(items)), np.int64) for _ in range(2))

    def add(self, part: pa.Table, users: _Users) -> None:
        who = pc.index_in(_plain(part["user_id"]), users.ids)
        part, who = part.filter(who.is_valid()), who.drop_null().to_numpy()
        item = pc.index_in(_plain(part["item_id"]), self._items).to_numpy()
        right = part["is_correct"].combine_chunks().cast(pa.int8()).to_numpy() == 1
        for node in range(len(_NODES)):
            weights = users.weights[who, node]
            self._answers[node] += np.bincount(item, weights, len(self._items))
            self._correct[node] += np.bincount(item[right], weights[right], len(self._items))
            self._squares[node] += np.bincount(item, weights**2, len(self._items))
        if self._days:
            first, n_days = self._days
            day = ((_as_days(part[TIME]) - first) // _DAY).astype(np.int64)
            place, size = day * len(self._items) + item, n_days * len(self._items)
            self._day_answers += np.bincount(place, minlength=size).reshape(n_days, -1)
            self._day_correct += np.bincount(place[right], minlength=size).reshape(n_days, -1)

    def table(self, nodes: np.ndarray) -> pa.Table:
        kept = np.flatnonzero(self._answers.sum(axis=0) > 0)
        squares = self._squares[:, kept]
        # Kish (1965), Survey Sampling, 11.7.
        effective = np.divide(self._answers[:, kept] ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
        columns = {
            "item_id": self._items.take(pa.array(kept)).cast(pa.string()),
            "theta": _lists(np.tile(nodes, (len(kept), 1)), pa.float64()),
            "answers": _lists(self._answers.T[kept], pa.float64()),
            "correct": _lists(self._correct.T[kept], pa.float64()),
            "effective": _lists(effective.T, pa.float64()),
        }
        if self._days:
            columns |= {
                "first_day": pa.array([self._days[0].astype(date)] * len(kept), pa.date32()),
                "day_answers": _lists(self._day_answers.T[kept], pa.int32()),
                "day_correct": _lists(self._day_correct.T[kept], pa.int32()),
            }
        return pa.table(columns)


def _items(staged: pq.ParquetFile) -> pa.Array:
    parts = [pc.unique(_plain(batch.column(0))) for batch in staged.iter_batches(columns=["item_id"])]
    return pc.unique(pa.concat_arrays(parts)) if parts else pa.array([], pa.string())


def _days(staged: pq.ParquetFile) -> tuple[np.datetime64, int] | None:
    """The first day, and how many days there are; None without answers."""
    bounds = [pc.min_max(batch.column(0)).as_py() for batch in staged.iter_batches(columns=[TIME])]
    if not bounds:
        return None
    first, last = min(each["min"] for each in bounds).date(), max(each["max"] for each in bounds).date()
    return np.datetime64(first, "D"), (last - first + timedelta(days=1)).days


def _as_days(times: pa.ChunkedArray) -> np.ndarray:
    days: np.ndarray = times.combine_chunks().cast(pa.timestamp("us", "UTC")).to_numpy().astype("datetime64[D]")
    return days


def _plain(ids: Any) -> pa.Array:
    """Texts, whether they were stored as a dictionary or not."""
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    return whole.cast(pa.string())


def _lists(rows: np.ndarray, kind: pa.DataType) -> pa.Array:
    """An array of lists out of the rows of `rows` (n, length)."""
    n, length = rows.shape
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * length, pa.array(rows.ravel(), kind))
