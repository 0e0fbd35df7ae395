"""The result of a calibration: read, checked for completeness, and turned into tables for the load."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from irt.errors import BadDataError

ITEM_SCHEMA = pa.schema(
    [
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
        ("reasons", pa.string()),
        ("held", pa.bool_()),
    ]
)
ABILITY_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("theta", pa.float64()),
        ("se", pa.float64()),
        ("n_responses", pa.int64()),
    ]
)


@dataclass(frozen=True)
class CalibrationResult:
    """The service's answer, as two tables and the rest.

    `items` also has the held ones. `fit` holds model_spec, metrics, excluded, n_items (without the held ones), n_held
    and n_abilities.
    """

    items: pa.Table
    abilities: pa.Table
    fit: dict[str, Any]

    def refuse_strangers(self, items: set[str], users: set[str]) -> None:
        """Refuse items and users that were not sent; the result may leave some out.

        :raise BadDataError: names the first that was not sent.
        """
        for name, table, sent in (("item_id", self.items, items), ("user_id", self.abilities, users)):
            strangers = set(table.column(name).to_pylist()) - sent
            if strangers:
                raise BadDataError(f"{name}: {min(strangers)!r} is in the result but was not in the request")


def parse_result(body: bytes | str, *, run_key: str, complete: Callable[[Any], Any] | None = None) -> CalibrationResult:
    """Read the contract's response.

    :param complete: for a service without the contract: converts its answer. A service with the contract echoes the
        run key, so that the result of another run is detected.
    :raise BadDataError: not JSON, a field missing or of the wrong type (named), or the result of another run.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except ValueError as error:
        raise BadDataError(f"the calibration result is not JSON: {error}") from error
    if complete:
        document = complete(document)
    meta = _field(document, "fit_meta", dict)
    if not complete and meta.get("run_id") != run_key:
        raise BadDataError(f"fit_meta.run_id: {meta.get('run_id')!r} is not this run ({run_key!r})")
    items = [_item(row, f"item_params[{n}].") for n, row in enumerate(_field(document, "item_params", list))]
    # Only services that judge items have the field.
    held = _field(document, "held", list) if document.get("held") is not None else []
    held = [_item(row, f"held[{n}].") | {"held": True} for n, row in enumerate(held)]
    abilities = [_ability(row, n) for n, row in enumerate(_field(document, "abilities", list))]
    _refuse_repeats("item_params", "item_id", items + held)
    _refuse_repeats("abilities", "user_id", abilities)
    fit = {
        "model_spec": _model_spec(meta),
        "metrics": _metrics(meta),
        "excluded": _excluded(document),
        "n_held": len(held),
        "n_items": _count(meta["model_spec"], "n_items", "fit_meta.model_spec.", len(items)),
        "n_abilities": _count(meta["model_spec"], "n_users", "fit_meta.model_spec.", len(abilities)),
    }
    return CalibrationResult(
        pa.Table.from_pylist(items + held, schema=ITEM_SCHEMA),
        pa.Table.from_pylist(abilities, schema=ABILITY_SCHEMA),
        fit,
    )


def _item(row: Any, where: str) -> dict[str, Any]:
    params = _field(row, "params", dict, where)
    se = _field(row, "se", dict, where) if row.get("se") is not None else {}
    return {
        "item_id": str(_field(row, "item_id", (str, int), where)),
        "model": _field(row, "model", str, where),
        "a": _number(params, "a", f"{where}params."),
        "b": _number(params, "b", f"{where}params."),
        "c": _number(params, "c", f"{where}params.", optional=True),
        **{f"se_{name}": _number(se, name, f"{where}se.", optional=True) for name in ("a", "b", "c")},
        "n_responses": _count(row, "n_responses", where),
        "p_correct": _number(row, "p_correct", where, optional=True),
        "anchor": _field(row, "anchor", str, where) if row.get("anchor") is not None else None,
        "fit": json.dumps(row["fit"]) if row.get("fit") else None,
        "reasons": _reasons(row, where),
        "held": False,
    }


def _reasons(row: dict[str, Any], where: str) -> str | None:
    """What was found of an item, as JSON; None if nothing."""
    verdict = _field(row, "verdict", dict, where) if row.get("verdict") is not None else {}
    reasons = _field(verdict, "reasons", list, f"{where}verdict.") if verdict else []
    for n, reason in enumerate(reasons):
        _field(reason, "reason", str, f"{where}verdict.reasons[{n}].")
    return json.dumps(reasons) if reasons else None


def _ability(row: Any, position: int) -> dict[str, Any]:
    where = f"abilities[{position}]."
    return {
        "user_id": str(_field(row, "user_id", (str, int), where)),
        "theta": _number(row, "theta", where),
        "se": _number(row, "se", where),
        "n_responses": _count(row, "n_responses", where),
    }


def _model_spec(meta: dict[str, Any]) -> dict[str, Any]:
    """The specification, with the numbers that the checks read."""
    spec: dict[str, Any] = _field(meta, "model_spec", dict, "fit_meta.")
    if spec.get("linking_constants") is not None:
        where = "fit_meta.model_spec.linking_constants."
        linking = _field(spec, "linking_constants", dict, "fit_meta.model_spec.")
        for name in ("slope", "intercept"):
            _number(linking, name, where)
        _count(linking, "n_anchors_used", where)
    return spec


def _metrics(meta: dict[str, Any]) -> dict[str, Any]:
    metrics: dict[str, Any] = _field(meta, "metrics", dict, "fit_meta.")
    if not isinstance(metrics.get("converged", False), bool):
        raise BadDataError(f"fit_meta.metrics.converged: {metrics['converged']!r} is not true or false")
    _number(metrics, "loglik", "fit_meta.metrics.", optional=True)
    return metrics


def _excluded(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    given = _field(document, "excluded", dict) if document.get("excluded") is not None else {}
    excluded: dict[str, list[dict[str, Any]]] = {}
    for kind, name in (("items", "item_id"), ("users", "user_id")):
        rows = _field(given, kind, list, "excluded.") if given.get(kind) is not None else []
        for n, row in enumerate(rows):
            _field(row, name, (str, int), f"excluded.{kind}[{n}].")
        excluded[kind] = rows
    return excluded


def _count(mapping: dict[str, Any], name: str, where: str, default: int | None = None) -> int | None:
    if mapping.get(name) is None:
        return default
    value: int = _field(mapping, name, int, where)
    if not 0 <= value < 2**63:
        raise BadDataError(f"{where}{name}: {value} is not a count")
    return value


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
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadDataError(f"{where}{name}: {str(value)[:40]} is not a finite number")
    return number


def _refuse_repeats(table: str, name: str, rows: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row[name] in seen:
            raise BadDataError(f"{table}: {name} {row[name]!r} appears twice")
        seen.add(row[name])


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
