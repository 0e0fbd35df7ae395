"""Anchors and seeds: items with parameters in `question.meta`, and what is wrong where those cannot be used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any


def read_anchors(rows: Iterable[Sequence[Any]], *, model: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Turn the rows of `extract/anchors` into anchors and seeds.

    :param rows: item id, whether it is tagged as an anchor, whether it has parameters, and a, b, c as text.

    :return: the items with usable parameters, in the contract's form (`fixed`: an anchor); and for each other item,
        what is wrong with it.
    """
    known, faults = [], []
    for item_id, is_anchor, has_params, *texts in rows:
        params, fault = _params(*texts, model=model)
        if fault:
            kind = "anchor" if is_anchor else "seed"
            what = f"meta.irt.{fault}" if has_params else "tagged as an anchor, but without meta.irt"
            faults.append(f"question {item_id}: {what}; left out as {kind}")
        else:
            known.append({"item_id": item_id, "params": params, "fixed": is_anchor})
    return known, faults


def _params(a: str | None, b: str | None, c: str | None, *, model: str) -> tuple[dict[str, float], str | None]:
    """The parameters as numbers, or the first fault: which field, which value."""
    if a is None and model == "Rasch":
        a = "1"
    params = {}
    for name, text in (("a", a), ("b", b), ("c", c)):
        if text is None and name == "c":
            continue
        try:
            value = float(text or "")
        except ValueError:
            return {}, f"{name} is {text!r}, not a number"
        if not math.isfinite(value) or (name == "a" and value <= 0) or (name == "c" and not 0 <= value < 1):
            return {}, f"{name} is {text!r}, out of range"
        params[name] = value
    return params, None
