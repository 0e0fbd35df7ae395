"""The result of a calibration: read, checked for completeness, and turned into tables for the load."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from irt.errors import BadDataError

ITEMS = pa.schema(
    [
        ("run_key", pa.string()),
        ("item_id", pa.string()),
        ("model", pa.string()),
        ("a", pa.float64()),
        ("b", pa.float64()),
        ("c", pa.float64()),
        ("se_a", pa.float64()),
        ("se_b", pa.float64()),
        ("se_c", pa.float64()),
        ("n_responses", pa.int64()),
        ("p_correct", pa.float64()),
        ("anchor", pa.string()),
        ("fit", pa.string()),
    ]
)
ABILITIES = pa.schema(
    [
        ("run_key", pa.string()),
        ("user_id", pa.string()),
        ("theta", pa.float64()),
        ("se", pa.float64()),
        ("n_responses", pa.int64()),
    ]
)


@dataclass(frozen=True)
class CalibrationResult:
    """What the service answered, as two tables and the rest.

    `fit` holds model_spec, metrics, excluded, n_items and n_abilities.
    """

    items: pa.Table
    abilities: pa.Table
    fit: dict[str, Any]


def parse_result(body: bytes | str, *, run_key: str, sent_run_id: bool = True) -> CalibrationResult:
    """Read the contract's response.

    :param sent_run_id: the service echoes the run key, so that a result of another run is told.
    :raise BadDataError: not JSON, a field missing or of the wrong type (named), or the result of another run.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except ValueError as error:
        raise BadDataError(f"the calibration result is not JSON: {error}") from error
    meta = _field(document, "fit_meta", dict)
    if sent_run_id and meta.get("run_id") != run_key:
        raise BadDataError(f"fit_meta.run_id: {meta.get('run_id')!r} is not this run ({run_key!r})")
    items = [_item(row, run_key, n) for n, row in enumerate(_field(document, "item_params", list))]
    abilities = [_ability(row, run_key, n) for n, row in enumerate(_field(document, "abilities", list))]
    _refuse_repeats("item_params", "item_id", items)
    _refuse_repeats("abilities", "user_id", abilities)
    fit = {
        "model_spec": _field(meta, "model_spec", dict, "fit_meta."),
        "metrics": _field(meta, "metrics", dict, "fit_meta."),
        "excluded": document.get("excluded") or {"items": [], "users": []},
        "n_items": meta["model_spec"].get("n_items", len(items)),
        "n_abilities": meta["model_spec"].get("n_users", len(abilities)),
    }
    return CalibrationResult(
        pa.Table.from_pylist(items, schema=ITEMS), pa.Table.from_pylist(abilities, schema=ABILITIES), fit
    )


def _item(row: Any, run_key: str, position: int) -> dict[str, Any]:
    where = f"item_params[{position}]."
    params = _field(row, "params", dict, where)
    se = row.get("se") or {}
    return {
        "run_key": run_key,
        "item_id": str(_field(row, "item_id", (str, int), where)),
        "model": _field(row, "model", str, where),
        "a": _number(params, "a", f"{where}params."),
        "b": _number(params, "b", f"{where}params."),
        "c": _number(params, "c", f"{where}params.", optional=True),
        **{f"se_{name}": _number(se, name, f"{where}se.", optional=True) for name in ("a", "b", "c")},
        "n_responses": row.get("n_responses"),
        "p_correct": _number(row, "p_correct", where, optional=True),
        "anchor": row.get("anchor"),
        "fit": json.dumps(row["fit"]) if row.get("fit") else None,
    }


def _ability(row: Any, run_key: str, position: int) -> dict[str, Any]:
    where = f"abilities[{position}]."
    return {
        "run_key": run_key,
        "user_id": str(_field(row, "user_id", (str, int), where)),
        "theta": _number(row, "theta", where),
        "se": _number(row, "se", where),
        "n_responses": row.get("n_responses"),
    }


def _field(mapping: Any, name: str, kind: Any, where: str = "") -> Any:
    if not isinstance(mapping, dict) or name not in mapping:
        raise BadDataError(f"the calibration result lacks the field {where}{name}")
    value = mapping[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadDataError(f"{where}{name}: {str(value)[:100]!r} is of the wrong type")
    return value


def _number(mapping: Any, name: str, where: str, optional: bool = False) -> float | None:
    if optional and (not isinstance(mapping, dict) or mapping.get(name) is None):
        return None
    value = _field(mapping, name, (int, float), where)
    if not math.isfinite(value):
        raise BadDataError(f"{where}{name}: {value} is not a finite number")
    return float(value)


def _refuse_repeats(table: str, name: str, rows: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row[name] in seen:
            raise BadDataError(f"{table}: {name} {row[name]!r} stands in it twice")
        seen.add(row[name])


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")
