"""Which items are judged by what, and what becomes of them: the contract's `verdicts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, create_model

from irt_engine.contract.strict import DEFAULT_MESSAGE, Strict

Action = Literal["hold", "warn", "ignore"]
HOLD, WARN, IGNORE = get_args(Action)
# Estimate the item from its answers after the change.
USE_NEWER = "use_newer"
REVERSED, FLAT, OUT_OF_RANGE, IMPRECISE, MISFIT, TOO_FEW, CHANGED = (
    "reversed", "flat", "out_of_range", "imprecise", "misfit", "too_few_answers", "changed",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """What is done about one reason; `limit_a` is that of the slope where b has a limit of its own."""

    action: str
    limit: float
    limit_a: float | None = None


DEFAULTS: Mapping[str, Rule] = {
    REVERSED: Rule(HOLD, 2.0),
    FLAT: Rule(HOLD, 0.05),
    OUT_OF_RANGE: Rule(HOLD, 10.0, 10.0),
    IMPRECISE: Rule(HOLD, 2.0, 2.0),
    MISFIT: Rule(HOLD, 0.15),
    TOO_FEW: Rule(HOLD, 20.0),
    CHANGED: Rule(HOLD, 0.3),
}


_Action = Annotated[Action, DEFAULT_MESSAGE]
_ActionOnChange = Annotated[Literal["hold", "warn", "ignore", "use_newer"], DEFAULT_MESSAGE]
_Limit = Annotated[float, Field(ge=0, le=1e9), DEFAULT_MESSAGE]


def _reader(reason: str, default: Rule) -> type[Strict]:
    """The model of one reason: its fields are those that its default has."""
    given = {each.name: getattr(default, each.name) for each in fields(default)}
    limits: dict[str, Any] = {name: (_Limit, limit) for name, limit in given.items() if isinstance(limit, float)}
    action: Any = _ActionOnChange if reason == CHANGED else _Action
    return create_model(reason, __base__=Strict, action=(action, default.action), **limits)


_readers: dict[str, Any] = {reason: (_reader(reason, rule) | None, None) for reason, rule in DEFAULTS.items()}
_Verdicts = create_model("Verdicts", __base__=Strict, **_readers)


def read_verdicts(value: Any) -> dict[str, Rule]:
    """The rules by reason, in the contract's order, without those that are ignored; for a validator."""
    rules = {reason: Rule(**dict(given)) for reason, given in _Verdicts.model_validate(value) if given is not None}
    return {reason: rule for reason, rule in rules.items() if rule.action != IGNORE}
