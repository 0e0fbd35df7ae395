"""Which items are judged by what, and what becomes of them: the contract's `verdicts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irt_engine.contract.fields import Fields

HOLD, WARN, IGNORE = ACTIONS = ("hold", "warn", "ignore")
# Estimate the item from its answers after the change.
USE_NEWER = "use_newer"
REVERSED, FLAT, OUT_OF_RANGE, IMPRECISE, MISFIT, TOO_FEW, CHANGED = (
    "reversed", "flat", "out_of_range", "imprecise", "misfit", "too_few_answers", "changed",
)  # fmt: skip
_MOST = 1e9


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


def read_verdicts(top: Fields) -> dict[str, Rule] | None:
    """The rules by reason, in the contract's order, without those that are ignored; None if nothing is to be judged."""
    if not top.has("verdicts"):
        return None
    entry = top.object("verdicts", tuple(DEFAULTS))
    rules = {reason: _rule(entry, reason, default) for reason, default in DEFAULTS.items() if entry.has(reason)}
    return {reason: rule for reason, rule in rules.items() if rule.action != IGNORE}


def _rule(verdicts: Fields, reason: str, default: Rule) -> Rule:
    has_both = default.limit_a is not None
    actions = (*ACTIONS, USE_NEWER) if reason == CHANGED else ACTIONS
    entry = verdicts.object(reason, ("action", "limit", *["limit_a"] * has_both))
    return Rule(
        entry.choice("action", actions, default.action),
        entry.number("limit", default.limit, low=0.0, high=_MOST),
        entry.number("limit_a", default.limit_a, low=0.0, high=_MOST) if has_both else None,
    )
