"""Values of a request, with their limits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from irt_engine.contract.names import MODELS, Model
from irt_engine.contract.strict import DEFAULT_MESSAGE, Message, Rows, mistake

# Ids are those of the columns of `observations`, which hold integers of 64 bits, signed or not.
_LEAST_ID, _LARGEST_ID = -(2**63), 2**64 - 1
# Counts beyond are a mistake, and the numerics hold them in 64 bits.
_MOST = 10**9
_IN_LOWER_CASE = {model.lower(): model for model in MODELS}


def _decimal(value: Any) -> Any:
    if type(value) is not int:
        return value
    if not _LEAST_ID <= value <= _LARGEST_ID:
        raise mistake(f"must be a string, or an integer from {_LEAST_ID} to {_LARGEST_ID}")
    return str(value)


def _once(identity: str, info: ValidationInfo[Rows]) -> str:
    if identity in info.context.seen:
        raise mistake("is given more than once")
    info.context.seen.add(identity)
    return identity


def _in_its_case(value: Any) -> Any:
    return _IN_LOWER_CASE.get(value.lower(), value) if isinstance(value, str) else value


# A string that is not empty; an integer becomes its decimal string.
Identity = Annotated[
    str,
    Field(min_length=1),
    Message("must be a string that is not empty, or an integer"),
    BeforeValidator(_decimal),
]
# One that no other row has; the context is `Rows`.
UniqueIdentity = Annotated[Identity, AfterValidator(_once)]
GivenModel = Annotated[Model, DEFAULT_MESSAGE, BeforeValidator(_in_its_case)]

Count = Annotated[int, Field(ge=1, le=_MOST), DEFAULT_MESSAGE]
CountOfTwo = Annotated[int, Field(ge=2, le=_MOST), DEFAULT_MESSAGE]
Share = Annotated[float, Field(ge=0, le=1), DEFAULT_MESSAGE]

# No bank has such items; what is beyond overflows sooner or later, in one formula or another.
Slope = Annotated[float, Field(ge=-1000, le=1000), DEFAULT_MESSAGE]
SlopeAboveZero = Annotated[float, Field(le=1000, gt=0), DEFAULT_MESSAGE]
Difficulty = Annotated[float, Field(ge=-10_000, le=10_000), DEFAULT_MESSAGE]
Guessing = Annotated[float, Field(ge=0, lt=1), DEFAULT_MESSAGE]
