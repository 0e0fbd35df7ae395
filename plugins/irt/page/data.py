"""What the views show, as plain values: the same for the HTML and for the JSON of the API."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from irt.page.information import holes
from irt.page.reading import Reader, Row

NIGHTS, PAGE = 30, 100
_LONGEST_SEARCH = 200
# Items that are drawn in one picture; the view says so if there are more.
MOST_DRAWN = 5000
# Items of the worst fit that are named.
WORST = 15
# Held items that are named, and items with a warning.
MOST_NAMED = 200
# No bank has as many items.
EVERY_ITEM = 1_000_000
Sort = Literal[
    "item_id", "a", "b", "c", "se_a", "se_b", "n_responses", "p_correct", "rmsd", "infit", "outfit", "change_b",
    "is_held",
]  # fmt: skip
Verdict = Literal["", "published", "held", "warned", "anchor"]


@dataclass(frozen=True)
class ItemsQuery:
    """Which items, in which order; `page` counts from 1."""

    search: str = ""
    verdict: Verdict = ""
    sort: Sort = "item_id"
    descending: bool = False
    page: int = 1
    most: int = PAGE

    def parameters(self) -> dict[str, Any]:
        return {
            "search": self.search[:_LONGEST_SEARCH], "verdict": self.verdict, "sort": self.sort,
            "direction": -1 if self.descending else 1, "most": self.most, "skipped": (self.page - 1) * self.most,
        }  # fmt: skip


def banks(reader: Reader) -> list[Row]:
    """All banks, each with its last nights, the oldest first."""
    nights: dict[str, list[Row]] = {}
    for night in reader.rows("nights", {"bank": None, "nights": NIGHTS}):
        nights.setdefault(night["bank"], []).insert(0, night)
    return [row | {"nights": nights.get(row["bank"], [])} for row in reader.rows("banks")]


def bank(reader: Reader, name: str) -> Row | None:
    """A bank's last nights, the newest first; None if it was never run."""
    nights = reader.rows("nights", {"bank": name, "nights": 2 * NIGHTS})
    return {"bank": name, "nights": nights} if nights else None


def run(reader: Reader, run_key: str) -> Row | None:
    """A run with its checks, anchors and abilities; None if there is none.

    `abilities` has the users and the mean SE by band, `holes` the ranges in which abilities are imprecise, `people`
    whom a publication changes. `items` are those that are drawn. Of all items, `parameters` has those that are
    published, `held`, `warned` and `worst` (of the worst fit) the first, and `item_counts` how many there are.
    """
    found = reader.rows("run", {"run_key": run_key})
    if not found:
        return None
    row, load = found[0], {"load_id": found[0]["load_id"]}
    bands = reader.rows("abilities", load)
    people = reader.rows("people", load)
    parameters = reader.rows("parameters", load)
    return (
        row
        | _items(reader, row)
        | {
            "checks": reader.rows("checks", load | {"nights": NIGHTS}),
            "anchors": [each | {"reference": _numbers(each["reference"])} for each in reader.rows("anchors", load)],
            "abilities": bands,
            "people": people[0] if people else None,
            "parameters": parameters,
            "holes": holes(bands, parameters),
        }
    )


def items(reader: Reader, run_key: str, query: ItemsQuery) -> Row | None:
    """One page of a run's items, and how many there are in all; None if there is no such run.

    Unless the page is larger than the usual, `nights` has each item's difficulties over the last nights.
    """
    found = reader.rows("run", {"run_key": run_key})
    if not found:
        return None
    load = {"run_key": run_key, "load_id": found[0]["load_id"]}
    rows = reader.rows("items", load | query.parameters())
    if query.most <= PAGE:
        shown = {"load_id": load["load_id"], "item_ids": [row["item_id"] for row in rows], "nights": NIGHTS}
        nights = {night["item_id"]: night["b"] for night in reader.rows("item_nights", shown)}
        rows = [row | {"nights": nights.get(row["item_id"], [])} for row in rows]
    return {"run_key": run_key, "bank": found[0]["bank"], "total": rows[0]["total"] if rows else 0, "items": rows}


def item(reader: Reader, bank_name: str, item_id: str) -> Row | None:
    """An item over the bank's last loads, the newest first; None if it was never estimated.

    `answers` has the answers behind the newest load, None before its report is written.
    """
    history = reader.rows("item_history", {"bank": bank_name, "item_id": item_id, "nights": NIGHTS})
    if not history:
        return None
    answers = reader.rows("item_answers", {"load_id": history[0]["load_id"], "item_id": item_id})
    return {"bank": bank_name, "item_id": item_id, "history": history, "answers": answers[0] if answers else None}


def _numbers(meta: Any) -> dict[str, float]:
    """The parameters in `question.meta.irt` that are numbers, or texts of numbers; people write it, in any form."""
    found = {}
    for name in ("a", "b", "c"):
        with suppress(TypeError, LookupError, ValueError, OverflowError):
            found[name] = float(meta[name])
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _items(reader: Reader, run: Row) -> dict[str, Any]:
    """`items`, `held`, `warned`, `worst` and `item_counts` of `run`."""
    queries = {
        "items": ItemsQuery(most=MOST_DRAWN),
        "held": ItemsQuery(verdict="held", most=MOST_NAMED),
        "warned": ItemsQuery(verdict="warned", most=MOST_NAMED),
        "worst": ItemsQuery(sort="rmsd", descending=True, most=WORST),
    }
    load = {"run_key": run["run_key"], "load_id": run["load_id"]}
    found: dict[str, Any] = {name: reader.rows("items", load | query.parameters()) for name, query in queries.items()}
    counts = {name: rows[0]["total"] if rows else 0 for name, rows in found.items()}
    found["worst"] = [row for row in found["worst"] if row["rmsd"] is not None]
    return found | {"item_counts": counts}
