"""Which items and persons cannot be calibrated, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.errors import CalibrationError
from irt_engine.responses import Responses
from irt_engine.settings import Settings


@dataclass(frozen=True)
class Exclusion:
    """What was left out; rows as in the contract."""

    items: list[dict[str, Any]]
    users: list[dict[str, Any]]

    def to_contract(self) -> dict[str, Any]:
        return {"items": self.items, "users": self.users}


def exclude(responses: Responses, settings: Settings) -> tuple[Responses, Exclusion]:
    """Leave out items that everyone got right or wrong or too few answered, then persons with too few answers left.

    Leaving out a person can make an item hopeless in turn, so it is repeated until nothing changes.

    :raise CalibrationError: fewer than three items or no person is left.
    """
    items: list[dict[str, Any]] = []
    users: list[dict[str, Any]] = []
    while True:
        bad_items = _hopeless(responses, settings)
        items += bad_items
        names = {row["item_id"] for row in bad_items}
        good = np.array([item not in names for item in responses.item_ids], bool)
        kept = responses.keep(np.ones(len(responses.user_ids), bool), good)
        counts = np.diff(kept.start)
        enough = counts >= settings.min_user_responses
        users += [
            {
                "user_id": user,
                "reason": f"fewer than {settings.min_user_responses} usable answers",
                "n_responses": int(n),
            }
            for user, n in zip(kept.user_ids[~enough], counts[~enough])
        ]
        kept = kept.keep(enough, np.ones(len(kept.item_ids), bool))
        if len(kept.item_ids) < 3 or not len(kept.user_ids):
            raise CalibrationError(
                f"{len(kept.item_ids)} items and {len(kept.user_ids)} users can be calibrated; at least 3 items and a "
                f"user are needed ({len(items)} items are excluded)"
            )
        if not bad_items and enough.all():
            return kept, Exclusion(sorted(items, key=lambda r: r["item_id"]), sorted(users, key=lambda r: r["user_id"]))
        responses = kept


def _hopeless(responses: Responses, settings: Settings) -> list[dict[str, Any]]:
    counts = np.bincount(responses.item, minlength=len(responses.item_ids))
    right = np.bincount(responses.item, weights=responses.correct, minlength=len(responses.item_ids))
    rows = []
    for item, n, r in zip(responses.item_ids, counts.tolist(), right.tolist()):
        reason = None
        if n < settings.min_item_responses:
            reason = f"fewer than {settings.min_item_responses} answers"
        elif r in (0, n):
            reason = "every answer is right" if r else "every answer is wrong"
        if reason:
            share = r / n if n else None
            rows.append({"item_id": item, "reason": reason, "n_responses": n, "p_correct": share})
    return rows
