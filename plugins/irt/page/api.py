"""The page's data as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from irt.page import data
from irt.page.reading import reading

router = APIRouter(tags=["data"])

Name = Annotated[str, Query(max_length=300)]


def items_query(
    search: Annotated[str, Query(max_length=200)] = "",
    verdict: data.Verdict = "",
    sort: data.Sort = "item_id",
    descending: bool = False,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> data.ItemsQuery:
    """Which items, in which order; pages have 100."""
    return data.ItemsQuery(search.replace("\0", ""), verdict, sort, descending, page)


@router.get("/banks")
def banks() -> list[dict[str, Any]]:
    """All banks, each with its last 30 nights, the oldest first."""
    with reading() as reader:
        return data.banks(reader)


@router.get("/bank")
def bank(name: Name) -> dict[str, Any]:
    """A bank's last 60 nights, the newest first."""
    with reading() as reader:
        return found(data.bank(reader, text(name)), f"bank {name!r} was never run")


@router.get("/run")
def run(run: Name) -> dict[str, Any]:
    """A run with checks, anchors, items and the distribution of abilities; `run` is its run key."""
    with reading() as reader:
        whole = found(data.run(reader, text(run)), f"there is no run {run!r}")
    # For the pictures: as many as the bank has items.
    del whole["parameters"]
    return whole


@router.get("/item")
def item(bank: Name, item: Name) -> dict[str, Any]:
    """An item over the bank's last 30 loads, the newest first."""
    with reading() as reader:
        return found(data.item(reader, text(bank), text(item)), f"bank {bank!r} has no item {item!r}")


def found(value: dict[str, Any] | None, otherwise: str) -> dict[str, Any]:
    """:raise HTTPException: 404 for None."""
    if value is None:
        raise HTTPException(404, otherwise)
    return value


def text(value: str) -> str:
    """PostgreSQL has no NUL in texts, so nothing is named so."""
    return value.replace("\0", "\ufffd")
