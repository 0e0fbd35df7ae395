"""The contract's `options.priors`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from irt_engine.contract.strict import DEFAULT_MESSAGE, Strict
from irt_engine.model.priors import Prior, Priors

# No bank has such beliefs; what is beyond overflows sooner or later, in one formula or another.
_Mean = Annotated[float, Field(ge=-1000, le=1000), DEFAULT_MESSAGE]
_SD = Annotated[float, Field(ge=1e-3, le=1e4), DEFAULT_MESSAGE]
_Exponent = Annotated[float, Field(le=1e6, gt=0), DEFAULT_MESSAGE]
# One that is missing is answered with the names there are.
_NAMED = Field(validate_default=True)
_MISSING: Any = None


class _Normal(Strict):
    dist: str
    mean: _Mean
    sd: _SD


class _OfSlope(_Normal):
    dist: Annotated[Literal["normal", "lognormal"], DEFAULT_MESSAGE, _NAMED] = _MISSING


class _OfDifficulty(_Normal):
    dist: Annotated[Literal["normal"], DEFAULT_MESSAGE, _NAMED] = _MISSING


class _OfGuessing(_Normal):
    """The name `beta` is that of the other kind, `_Beta`."""

    dist: Annotated[Literal["normal_logit", "beta"], DEFAULT_MESSAGE, _NAMED] = _MISSING


class _Beta(Strict):
    dist: Literal["beta"]
    alpha: _Exponent
    beta: _Exponent


def _of_guessing(value: Any) -> _Beta | _OfGuessing:
    is_beta = isinstance(value, dict) and value.get("dist") == "beta"
    return (_Beta if is_beta else _OfGuessing).model_validate(value)


class _Given(Strict):
    a: _OfSlope | None = None
    b: _OfDifficulty | None = None
    c: Annotated[_Beta | _OfGuessing, PlainValidator(_of_guessing)] | None = None


def read_priors(value: Any) -> Priors:
    """For a validator."""
    if isinstance(value, Priors):
        return value
    given = _Given.model_validate(value)
    return Priors(**{name: _prior(prior) for name, prior in given if prior is not None})


def _prior(given: _Normal | _Beta) -> Prior:
    numbers = (given.alpha, given.beta) if isinstance(given, _Beta) else (given.mean, given.sd)
    return Prior(given.dist, *numbers)
