"""The contract's request to score, without its observations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, field_validator

from irt_engine.contract.settings import Options
from irt_engine.contract.strict import DEFAULT_MESSAGE, NULL_IS_ABSENT, ROWS_IN_BLOCKS, Strict, mistake
from irt_engine.contract.types import Difficulty, GivenModel, Guessing, Slope, UniqueIdentity


def _not_zero(a: float) -> float:
    if a == 0.0:
        raise mistake("must not be 0: such an item tells nothing of ability")
    return a


class GivenParameters(Strict):
    a: Annotated[Slope, AfterValidator(_not_zero)]
    b: Difficulty
    c: Guessing | None = None

    @property
    def numbers(self) -> tuple[float, float, float]:
        """(a, b, c); c is 0 where it is missing."""
        return self.a, self.b, self.c or 0.0


class _ParametersOfModel(GivenParameters):
    @field_validator("c")
    @classmethod
    def _is_of_the_model(cls, c: float | None, info: ValidationInfo) -> float | None:
        """:param info: with the model, if it is known, as the context."""
        if c and info.context not in ("3PL", None):
            raise mistake(f"a {info.context} item has no guessing")
        return c


class _ScoredItem(Strict):
    item_id: UniqueIdentity
    # Says no more than whether there may be guessing.
    model: GivenModel = "3PL"
    params: GivenParameters

    @field_validator("params", mode="plain")
    @classmethod
    def _of_the_model(cls, params: Any, info: ValidationInfo) -> GivenParameters:
        return _ParametersOfModel.model_validate(params, context=info.data.get("model"))


_Numbers = tuple[str, tuple[float, float, float]]


def _read_item(value: Any, info: ValidationInfo) -> _Numbers:
    # Kept are numbers alone: of a hundred thousand models, Python's garbage collector takes longer than the reading.
    item = _ScoredItem.model_validate(value, context=info.context)
    return item.item_id, item.params.numbers


class ScoredItems(Strict):
    """`items`, each as its id and (a, b, c)."""

    items: Annotated[list[Annotated[_Numbers, PlainValidator(_read_item)]], ROWS_IN_BLOCKS]


class LatentPrior(Strict):
    # Beyond these a grid around the mean has no two numbers that differ, or its squares are infinite.
    mean: Annotated[float, Field(ge=-1000, le=1000), DEFAULT_MESSAGE] = 0.0
    sd: Annotated[float, Field(ge=1e-6, le=1e4), DEFAULT_MESSAGE] = 1.0


class ScoringRequest(ScoredItems):
    latent: Annotated[LatentPrior, NULL_IS_ABSENT] = LatentPrior()
    options: Annotated[Options, NULL_IS_ABSENT] = Options()

    @field_validator("items", mode="before")
    @classmethod
    def _has_items(cls, items: Any) -> Any:
        if not isinstance(items, list) or not items:
            raise mistake("must be an array with at least one item")
        return items
