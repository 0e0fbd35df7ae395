"""The calibration service of the old job, which follows no contract and reports little of what it did.

It is recognized by its `/healthz`, which names no contract. It gets the three fields that its client always sent. What
its answer leaves out is NULL in the run tables, and the checks that need it say `not stated`.
"""

from __future__ import annotations

from typing import Any

from irt.errors import BadDataError

# It links whenever it gets at least this many items with a difficulty.
_LINKS_FROM = 2
_CONSTANTS = {"slope": ("slope", "A"), "intercept": ("intercept", "B"), "n_anchors_used": ("n_anchors_used",)}


def request_of(settings: dict[str, Any]) -> dict[str, Any]:
    """The request without its observations.

    The service treats seeds as anchors, and links whether or not it is asked to. So it gets only anchors, and none if
    the bank is not to be linked.

    :param settings: the contract's request without its observations.
    """
    linked = settings["linking"]["method"] != "none"
    anchors = [item for item in settings["anchors"] if item["fixed"] and linked]
    return {"model": settings["model"], "anchors": anchors}


def complete(document: Any, *, model: str, anchors: int) -> Any:
    """Convert its answer to the form of the contract.

    :param model: the requested model, which is that of the items.
    :param anchors: how many were sent.
    :raise BadDataError: enough anchors for linking were sent, but the answer does not state the constants.
    """
    document = _plain(document)
    if not isinstance(document, dict):
        return document
    rows = document.get("item_params")
    document["item_params"] = [{"model": model, **row} if isinstance(row, dict) else row for row in rows or []]
    meta = document.setdefault("fit_meta", {})
    if not isinstance(meta, dict):
        return document
    spec = meta["model_spec"] = {"model": model, **(meta.get("model_spec") or {})}
    spec["linking_constants"] = _constants(meta, spec, anchors)
    meta["metrics"] = meta.get("metrics") or {}
    return document


def _constants(meta: dict[str, Any], spec: dict[str, Any], anchors: int) -> dict[str, Any] | None:
    given = spec.get("linking_constants") or meta.get("linking_constants") or {}
    named = (
        {
            name: next((given[key] for key in keys if given.get(key) is not None), None)
            for name, keys in _CONSTANTS.items()
        }
        if isinstance(given, dict)
        else {}
    )
    if named.get("slope") is None or named.get("intercept") is None:
        if anchors >= _LINKS_FROM:
            raise BadDataError(
                f"fit_meta.linking_constants: {given!r}: the service links by the {anchors} anchors it was sent, but "
                "does not state slope and intercept; the scale of its figures is unknown"
            )
        return None
    known = {"method": given.get("method")} | named
    return {name: value for name, value in known.items() if value is not None}


def _plain(value: Any) -> Any:
    """Unpack the one-element lists that R makes of scalars; a table with one row stays a table."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 1 and not isinstance(value[0], (dict, list)):
        return value[0]
    return [_plain(each) for each in value]
