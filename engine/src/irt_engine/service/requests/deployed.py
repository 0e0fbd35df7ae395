"""Rewrites bodies from the deployed client's forms to the contract's own.

The rest of the service knows only that form: observations with the ids of users and items, and items with their
parameters.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from irt_engine.contract.names import FIRST
from irt_engine.contract.scoring import GivenParameters
from irt_engine.contract.strict import ENTRIES_IN_BLOCKS, ROWS_IN_BLOCKS, Message, Strict, read
from irt_engine.contract.types import UniqueIdentity
from irt_engine.service.problems import invalid_field
from irt_engine.service.requests.observations import Errors, check_row_count, is_correctness
from irt_engine.service.requests.payload import Payload

RESPONSES, ITEM_PARAMS = "responses", "item_params"


_ItemId = Annotated[str, Field(min_length=1), Message("has an empty item id")]


class _ByItem(Strict):
    item_params: Annotated[dict[_ItemId, GivenParameters], ENTRIES_IN_BLOCKS]


class _Column(GivenParameters):
    item: UniqueIdentity


class _InColumns(Strict):
    item_params: Annotated[list[_Column], ROWS_IN_BLOCKS]


class _Answer(Strict):
    """`Observations` looks at the values."""

    item_id: Any = None
    is_correct: Any = None


class _OfOneUser(Strict):
    responses: Annotated[list[_Answer], ROWS_IN_BLOCKS]


def rewritten(kind: str, payload: Payload, max_rows: int) -> Payload:
    """The payload with `observations`, and for `score` with `items`, whatever form the body had.

    :param kind: `calibrate` or `score`.
    :raise Problem: 422 naming what is wrong with `responses` or `item_params`, 413 for more than `max_rows` answers.
    """
    if isinstance(payload.observations, Path):
        return payload
    if payload.observations is not None and RESPONSES in payload.request:
        raise invalid_field(RESPONSES, "must be absent where observations are given")
    if kind == "score" and (ITEM_PARAMS in payload.request or RESPONSES in payload.request):
        return _to_score(payload, max_rows)
    if RESPONSES in payload.request:
        request = dict(payload.request)
        return replace(payload, observations=_columns(request.pop(RESPONSES), None, max_rows), request=request)
    if payload.observations is None:
        raise invalid_field("observations", "is required")
    if kind == "calibrate" and isinstance(payload.observations, list):
        return _by_default_first(payload)
    return payload


def _by_default_first(payload: Payload) -> Payload:
    """That client sends every attempt, without `options` to say which one counts."""
    if payload.request.get("options") is not None:
        return payload
    return replace(payload, request={**payload.request, "options": {"repeats": FIRST}})


def _to_score(payload: Payload, max_rows: int) -> Payload:
    request = dict(payload.request)
    for name in (ITEM_PARAMS, RESPONSES):
        if request.get(name) is None:
            raise invalid_field(name, f"is required: {ITEM_PARAMS} and {RESPONSES} belong together")
    if "items" in request:
        raise invalid_field("items", f"must be absent where {ITEM_PARAMS} is given")
    given, responses = request.pop(ITEM_PARAMS), request.pop(RESPONSES)
    request["items"] = _items(given)
    ids = [item["item_id"] for item in request["items"]]
    if isinstance(given, list):
        return replace(payload, request=request, observations=_columns(responses, ids, max_rows))
    rows = _of_one_user(responses, set(ids))
    return _by_default_first(replace(payload, request=request, observations=rows, where=RESPONSES))


def _items(given: Any) -> list[dict[str, Any]]:
    """The contract's `items`, from an object of parameters by item, or an array that names the columns of a matrix."""
    if not isinstance(given, (dict, list)) or not given:
        raise invalid_field(ITEM_PARAMS, "must be an object of parameters by item, or an array of items, and not empty")
    items: list[tuple[str, GivenParameters]]
    if isinstance(given, dict):
        items = list(read(_ByItem, {ITEM_PARAMS: given}).item_params.items())
    else:
        items = [(column.item, column) for column in read(_InColumns, {ITEM_PARAMS: given}).item_params]
    return [{"item_id": item, "params": dict(zip("abc", params.numbers, strict=True))} for item, params in items]


def _of_one_user(responses: Any, known: set[str]) -> list[Any]:
    """Rows of observations of the user "1"; `Observations` refuses what is wrong with their values."""
    if not isinstance(responses, list) or not responses:
        raise invalid_field(RESPONSES, "must be an array with at least one answer of the user")
    if isinstance(responses[0], list):
        raise invalid_field(RESPONSES, f"a matrix needs {ITEM_PARAMS} as an array, in the order of its columns")
    read(_OfOneUser, {RESPONSES: responses})
    if not any(str(answer.get("item_id")) in known for answer in responses):
        raise invalid_field(RESPONSES, f"none is to an item of {ITEM_PARAMS}: give the parameters of these items")
    return [{**answer, "user_id": "1"} for answer in responses]


def _columns(matrix: Any, item_ids: list[str] | None, max_rows: int) -> dict[str, list[Any]]:
    """Columns of observations, from a matrix of users by items with 1, 0 and null; ids are "1", "2", … by position.

    :param item_ids: ids of its columns if they are known.
    """
    if not isinstance(matrix, list) or not matrix or not all(isinstance(row, list) for row in matrix):
        raise invalid_field(RESPONSES, "must be an array of rows of 1, 0 and null, one row for each user")
    width = len(matrix[0] if item_ids is None else item_ids)
    errors, found = Errors(), []
    for u, row in enumerate(matrix):
        if len(row) != width:
            wanted = "as the first row has" if item_ids is None else "one for each of item_params"
            errors.add(f"{RESPONSES}[{u}]", f"has {len(row)} entries and must have {width}, {wanted}")
        for i, value in enumerate(row):
            if value is not None and not is_correctness(value):
                errors.add(f"{RESPONSES}[{u}][{i}]", "must be 1, 0, true, false or null", value=value)
        found += [(u, i, value) for i, value in enumerate(row) if value is not None]
    check_row_count(len(found), max_rows)
    errors.raise_if_any()
    if not found:
        raise invalid_field(RESPONSES, "must hold at least one answer")
    items = item_ids or [str(i + 1) for i in range(width)]
    users, numbers, values = zip(*found, strict=True)
    return {
        "user_id": [str(u + 1) for u in users],
        "item_id": [items[i] for i in numbers],
        "is_correct": list(values),
    }
