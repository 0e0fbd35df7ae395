"""Rules that exclude items and persons before the estimation.

Reasons for items: "too few responses" (fewer than `min_item_responses`), "all correct" and "all incorrect" (no finite
difficulty fits), "not linked" (see `connection`); after an estimation also "diverged" and "no discrimination" (see
`fitting`). For persons: "too few responses" (fewer than `min_user_responses` in total) and "no usable responses" (none,
or fewer than that, to the remaining items).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from irt_engine.answers.responses import Responses
from irt_engine.contract.settings import Settings
from irt_engine.kernels import rows

# Reason for held items, which are listed separately (see `verdicts`).
HELD = "held"
# At most this many items are named in a message.
_MOST_NAMED = 10


@dataclass
class Exclusion:
    """Masks of the `items` (J,) and `users` (N,) that take part, and the reasons of the others by index."""

    items: np.ndarray
    users: np.ndarray
    item_reasons: dict[int, str] = field(default_factory=dict)
    user_reasons: dict[int, str] = field(default_factory=dict)
    components: dict[int, dict[str, int]] = field(default_factory=dict)

    def drop_item(self, item: int, reason: str, component: dict[str, int] | None = None) -> None:
        """:param component: for "not linked", how many `items` and `users` are linked with it."""
        self.items[item] = False
        self.item_reasons[item] = reason
        if component:
            self.components[item] = component

    def drop_users(self, users: np.ndarray, reason: str) -> None:
        self.users[users] = False
        self.user_reasons |= dict.fromkeys(users.tolist(), reason)

    def summary(self, item_ids: Sequence[str]) -> str:
        """A sentence with the number of excluded items per reason, and the first of each."""
        by_reason: dict[str, list[str]] = {}
        for item, reason in sorted(self.item_reasons.items()):
            by_reason.setdefault(reason, []).append(item_ids[item])
        reasons = ", ".join(f"{len(names)} {reason} ({named(names)})" for reason, names in sorted(by_reason.items()))
        return f"{len(self.item_reasons)} of {self.items.size} items are excluded" + (f": {reasons}" if reasons else "")

    def to_contract(self, responses: Responses) -> dict[str, Any]:
        """The contract's `excluded`; counts include all answers received."""
        answers, right = responses.item_counts()
        lengths = np.diff(responses.offsets)
        return {
            "items": [
                {
                    "item_id": responses.item_ids[item],
                    "reason": reason,
                    "n_responses": int(answers[item]),
                    "p_correct": float(right[item] / answers[item]) if answers[item] else None,
                    **({"component": self.components[item]} if item in self.components else {}),
                }
                for item, reason in sorted(self.item_reasons.items())
                if reason != HELD
            ],
            "users": [
                {"user_id": responses.user_ids[user].as_py(), "reason": reason, "n_responses": int(lengths[user])}
                for user, reason in sorted(self.user_reasons.items())
            ],
        }


def named(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    first = ", ".join(names[:_MOST_NAMED])
    return first if len(names) <= _MOST_NAMED else f"{first} and {len(names) - _MOST_NAMED} more"


def everyone(responses: Responses) -> Exclusion:
    return Exclusion(np.ones(responses.n_items, bool), np.ones(responses.n_users, bool))


def apply_rules(responses: Responses, settings: Settings, exclusion: Exclusion) -> Responses:
    """Exclude what cannot take part; repeat, since each exclusion leaves others with fewer answers."""
    _drop_short_users(responses, settings, exclusion)
    while True:
        kept = responses.select(exclusion.users, exclusion.items)
        dropped = _drop_items(kept, settings, exclusion)
        if dropped:
            continue
        few = _short_of_answers(responses, settings, exclusion)
        if not few.size:
            return kept
        exclusion.drop_users(few, "no usable responses")


def apply_minimum(responses: Responses, settings: Settings, exclusion: Exclusion) -> Responses:
    """Exclude persons with too few answers, in total or to the remaining items."""
    _drop_short_users(responses, settings, exclusion)
    exclusion.drop_users(_short_of_answers(responses, settings, exclusion), "no usable responses")
    return responses.select(exclusion.users, exclusion.items)


def _drop_short_users(responses: Responses, settings: Settings, exclusion: Exclusion) -> None:
    few = np.diff(responses.offsets) < settings.min_user_responses
    exclusion.drop_users(np.flatnonzero(few & exclusion.users), "too few responses")


def _short_of_answers(responses: Responses, settings: Settings, exclusion: Exclusion) -> np.ndarray:
    if exclusion.items.all():
        return np.empty(0, np.int64)
    counts = rows.person_counts(responses.offsets, responses.codes, exclusion.items)
    return np.flatnonzero(exclusion.users & (counts < settings.min_user_responses))


def _drop_items(kept: Responses, settings: Settings, exclusion: Exclusion) -> bool:
    answers, right = kept.item_counts()
    numbers = np.flatnonzero(exclusion.items)
    dropped = False
    for at, number in enumerate(numbers.tolist()):
        reason = _reason(int(answers[at]), int(right[at]), settings.min_item_responses)
        if reason:
            exclusion.drop_item(number, reason)
            dropped = True
    return dropped


def _reason(answers: int, right: int, minimum: int) -> str | None:
    if answers < minimum:
        return "too few responses"
    if right == answers:
        return "all correct"
    if right == 0:
        return "all incorrect"
    return None
