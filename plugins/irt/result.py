"""The result of a calibration: read, checked for completeness, and turned into tables for the load."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field, Strict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import NotRequired, TypedDict

from irt.ability_table import ABILITY_SCHEMA, MOST_MISTAKES, read_abilities
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


# An id may be a number; it is kept as text.
Identity = Annotated[str, Strict(), BeforeValidator(lambda value: str(value) if type(value) is int else value)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Text = Annotated[str, Strict()]

# What is read of the contract's response; the rest is kept as it is.


@dataclass(slots=True)
class Parameters:
    a: Number
    b: Number
    c: Number | None = None


@dataclass(slots=True)
class StandardErrors:
    a: Number | None = None
    b: Number | None = None
    c: Number | None = None


@dataclass(slots=True)
class Reason:
    reason: Text


@dataclass(slots=True)
class Verdict:
    reasons: list[Reason]


@dataclass(slots=True)
class Item:
    item_id: Identity
    model: Text
    params: Parameters
    se: StandardErrors | None = None
    n_responses: Count | None = None
    p_correct: Number | None = None
    anchor: Text | None = None
    fit: Any = None
    verdict: Verdict | None = None

    def row(self, raw: dict[str, Any], *, held: bool) -> dict[str, Any]:
        """A row of `ITEM_SCHEMA`.

        :param raw: the item as received; the fields of each reason are kept as they are.
        """
        se = self.se or StandardErrors()
        return {
            "item_id": self.item_id,
            "model": self.model,
            "a": self.params.a,
            "b": self.params.b,
            "c": self.params.c,
            "se_a": se.a,
            "se_b": se.b,
            "se_c": se.c,
            "n_responses": self.n_responses,
            "p_correct": self.p_correct,
            "anchor": self.anchor,
            "fit": json.dumps(self.fit) if self.fit else None,
            "reasons": json.dumps(raw["verdict"]["reasons"]) if self.verdict and self.verdict.reasons else None,
            "held": held,
        }


class Ability(TypedDict):
    """A dictionary: of a million abilities, objects would take five times as long."""

    user_id: Identity
    theta: Number
    se: Number
    n_responses: NotRequired[Count | None]


@dataclass(slots=True)
class LinkingConstants:
    slope: Number
    intercept: Number
    n_anchors_used: Count | None = None


@dataclass(slots=True)
class ModelSpec:
    n_items: Count | None = None
    n_users: Count | None = None
    linking_constants: LinkingConstants | None = None


@dataclass(slots=True)
class Metrics:
    converged: Annotated[bool, Strict()] = False
    loglik: Number | None = None


@dataclass(slots=True)
class FitMeta:
    model_spec: ModelSpec
    metrics: Metrics
    run_id: Any = None


@dataclass(slots=True)
class ExcludedItem:
    item_id: Identity


@dataclass(slots=True)
class ExcludedUser:
    user_id: Identity


@dataclass(slots=True)
class Excluded:
    items: list[ExcludedItem] | None = None
    users: list[ExcludedUser] | None = None


@dataclass(slots=True)
class Response:
    item_params: list[Item]
    abilities: list[Ability]
    fit_meta: FitMeta
    excluded: Excluded | None = None
    # Only services that judge items have it.
    held: list[Item] | None = None


@dataclass(frozen=True)
class CalibrationResult:
    """The service's answer, as two tables and the rest.

    `fit` holds model_spec, metrics, excluded, n_items and n_abilities.
    """

    items: pa.Table
    abilities: pa.Table
    fit: dict[str, Any]

    def refuse_strangers(self, sent: Mapping[str, pa.ChunkedArray]) -> None:
        """Refuse items and users that were not sent; the result may leave some out.

        :param sent: the ids that were, as `item_id` and `user_id`.
        :raise BadDataError: names the first that was not sent.
        """
        for name, table in (("item_id", self.items), ("user_id", self.abilities)):
            given = table.column(name)
            strangers = given.filter(pc.invert(pc.is_in(given, sent[name])))
            if len(strangers):
                raise BadDataError(f"{name}: {pc.min(strangers).as_py()!r} is in the result but was not in the request")


@cache
def _reader() -> TypeAdapter[Response]:
    return TypeAdapter(Response)


def parse_result(
    body: bytes | str, *, run_key: str, abilities: Sequence[Any] | None = None,
    complete: Callable[[Any], Any] | None = None,
) -> CalibrationResult:  # fmt: skip
    """Read the contract's response.

    :param body: JSON.
    :param abilities: of a response in parts: the Parquet files (see `read_abilities`) that hold what the JSON lacks.
    :param complete: for a service without the contract: converts its answer. A service with the contract echoes the
        run key, so that the result of another run is detected.
    :raise BadDataError: not JSON, fields missing or of the wrong type (the first five are named), or the result of
        another run.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except ValueError as error:
        raise BadDataError(f"the calibration result is not JSON: {error}") from error
    if complete:
        document = complete(document)
    if abilities is not None and isinstance(document, dict) and document.setdefault("abilities", []) != []:
        raise BadDataError("abilities: they are in the part result as well as in a part of their own")
    try:
        response = _reader().validate_python(document)
    except ValidationError as error:
        raise BadDataError(_mistakes(error)) from None
    if not complete and response.fit_meta.run_id != run_key:
        raise BadDataError(f"fit_meta.run_id: {response.fit_meta.run_id!r} is not this run ({run_key!r})")
    items, held = response.item_params, response.held or []
    _refuse_repeats("item_params", "item_id", (item.item_id for item in [*items, *held]))
    meta, spec, excluded = document["fit_meta"], response.fit_meta.model_spec, document.get("excluded") or {}
    fit = {
        "model_spec": meta["model_spec"],
        "metrics": meta["metrics"],
        "excluded": {kind: excluded.get(kind) or [] for kind in ("items", "users")},
        "n_items": len(items) if spec.n_items is None else spec.n_items,
        "n_held": len(held),
    }
    try:
        table = _columns(response.abilities) if abilities is None else read_abilities(abilities)
        rows = [item.row(raw, held=False) for item, raw in zip(items, document["item_params"])]
        rows += [item.row(raw, held=True) for item, raw in zip(held, document.get("held") or [])]
        item_table = pa.Table.from_pylist(rows, schema=ITEM_SCHEMA)
    except UnicodeEncodeError as error:
        # Half a surrogate pair, which JSON can escape.
        raise BadDataError(f"the calibration result: {error.object[:100]!r} is not Unicode text") from None
    users = table.column("user_id")
    if pc.count_distinct(users).as_py() < len(users):
        _refuse_repeats("abilities", "user_id", users.to_pylist())
    fit["n_abilities"] = len(users) if spec.n_users is None else spec.n_users
    return CalibrationResult(item_table, table, fit)


def _columns(abilities: list[Ability]) -> pa.Table:
    # By columns: five times as fast.
    return pa.table(
        {name: [ability.get(name) for ability in abilities] for name in ABILITY_SCHEMA.names}, ABILITY_SCHEMA
    )


_KINDS = {
    "dataclass_type": "an object",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "string_type": "text",
}


def _mistakes(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    named = [_mistake(detail) for detail in details[:MOST_MISTAKES]]
    more = len(details) - len(named)
    return "; ".join([*named, f"and {more} more"] if more else named)


def _mistake(detail: ErrorDetails) -> str:
    """The field, the value and what it should be."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).removeprefix(".")
    kind, value = detail["type"], str(detail["input"])
    if kind == "missing":
        return f"the calibration result lacks the field {path}"
    # JSON's integers may be larger than any float.
    if kind == "finite_number" or (kind == "float_type" and type(detail["input"]) is int):
        return f"{path}: {value[:40]} is not a finite number"
    if kind in ("greater_than_equal", "less_than"):
        return f"{path}: {value[:40]} is not a count"
    if kind == "bool_type":
        return f"{path}: {value[:100]!r} is not true or false"
    wrong = f"is of the wrong type: not {_KINDS[kind]}" if kind in _KINDS else detail["msg"]
    return f"{path or 'the calibration result'}: {value[:100]!r} {wrong}"


def _refuse_repeats(table: str, name: str, identities: Iterable[str]) -> None:
    seen: set[str] = set()
    for identity in identities:
        if identity in seen:
            raise BadDataError(f"{table}: {name} {identity!r} appears twice")
        seen.add(identity)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
