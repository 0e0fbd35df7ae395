"""The contract's `anchors` and `options.start`: items with known parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import PlainValidator, TypeAdapter, ValidationInfo, field_validator

from irt_engine.contract.strict import ROWS_IN_BLOCKS, Rows, Strict, mistake
from irt_engine.contract.types import Difficulty, GivenModel, Guessing, Slope, SlopeAboveZero, UniqueIdentity


@dataclass(frozen=True)
class Anchor:
    """An item with known parameters. `fixed` ones define the reference scale, others are starting values."""

    item_id: str
    a: float
    b: float
    c: float | None = None
    fixed: bool = True


@dataclass(frozen=True)
class BareAnchor:
    """An item that was tagged as an anchor without parameters, or with its difficulty alone."""

    item_id: str


class _Bare(Strict):
    a: None = None
    b: Difficulty | None = None
    c: None = None
    model: GivenModel | None = None


class _OfSeed(Strict):
    a: Slope
    b: Difficulty
    c: Guessing | None = None
    model: GivenModel | None = None


class _OfAnchor(_OfSeed):
    a: SlopeAboveZero

    @field_validator("c")
    @classmethod
    def _is_of_its_model(cls, c: float | None, info: ValidationInfo) -> float | None:
        """:param info: with the model that the item is calibrated as, if that is known, as the context."""
        model = info.context
        if c and model not in ("3PL", None):
            raise mistake(f"the item is calibrated as {model}, which has no guessing; name 3PL for it in item_models")
        return c


@dataclass
class _Anchors(Rows):
    model_of: Callable[[str], str | None] = field(kw_only=True)


class _Row(Strict):
    item_id: UniqueIdentity
    # Before `params`, which depend on it.
    fixed: bool = True
    params: _Bare | _OfSeed | _OfAnchor

    @field_validator("params", mode="plain")
    @classmethod
    def _of_its_kind(cls, params: Any, info: ValidationInfo[_Anchors]) -> _Bare | _OfSeed:
        if isinstance(params, dict) and params.get("a") is None and params.get("c") is None:
            return _Bare.model_validate(params)
        if not info.data.get("fixed", True):
            return _OfSeed.model_validate(params)
        item_id = info.data.get("item_id")
        return _OfAnchor.model_validate(params, context=item_id and info.context.model_of(item_id))


class _StartRow(Strict):
    item_id: UniqueIdentity
    params: _OfSeed


def _read_anchor(value: Any, info: ValidationInfo) -> Anchor | BareAnchor:
    # Models are not kept: of a hundred thousand, Python's garbage collector takes longer than the reading.
    row = _Row.model_validate(value, context=info.context)
    given = row.params
    if isinstance(given, _Bare):
        return BareAnchor(row.item_id)
    return Anchor(row.item_id, given.a, given.b, given.c, row.fixed)


def _read_start(value: Any, info: ValidationInfo) -> Anchor:
    row = _StartRow.model_validate(value, context=info.context)
    return Anchor(row.item_id, row.params.a, row.params.b, row.params.c, fixed=False)


_ROWS = TypeAdapter(Annotated[list[Annotated[Anchor | BareAnchor, PlainValidator(_read_anchor)]], ROWS_IN_BLOCKS])


def read_anchors(value: Any, model_of: Callable[[str], str | None]) -> list[Anchor | BareAnchor]:
    """For a validator.

    :param model_of: the model that an item is calibrated as, if that is known.
    """
    return _ROWS.validate_python(value, context=_Anchors(model_of=model_of))


_START_ROWS = TypeAdapter(Annotated[list[Annotated[Anchor, PlainValidator(_read_start)]], ROWS_IN_BLOCKS])


def read_start(value: Any) -> tuple[Anchor, ...] | None:
    """A validator of the settings; None stays None."""
    if value is None or isinstance(value, tuple):
        return value
    return tuple(_START_ROWS.validate_python(value, context=Rows()))
