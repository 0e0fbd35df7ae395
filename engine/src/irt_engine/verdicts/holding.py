"""Held items: taken out, with their estimates and the reasons, while the others are estimated again. Items that changed
may be estimated again too, from their newer answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.answers.exclusion import HELD, Exclusion
from irt_engine.answers.responses import Responses
from irt_engine.contract.settings import Settings
from irt_engine.contract.verdicts import HOLD, USE_NEWER
from irt_engine.estimation.fitting import FittedBank
from irt_engine.model.line import Line
from irt_engine.scores.itemfit import curve_gaps
from irt_engine.standard_errors.covariance import Covariance
from irt_engine.standard_errors.estimates import ItemEstimates, estimates
from irt_engine.verdicts.judgement import Reason, Reasons, judge_fit, judge_scale

# After this many estimations no further item is held.
_MOST_ROUNDS = 10


@dataclass(frozen=True)
class Held:
    """A held item as it was last estimated; `is_final` if that was on the scale of the result."""

    item_id: str
    model: str
    values: np.ndarray
    errors: np.ndarray
    n_responses: int
    p_correct: float
    rmsd: float
    md: float
    reasons: list[Reason]
    is_final: bool

    def to_contract(self, line: Line | None, is_anchor: bool) -> dict[str, Any]:
        """:param line: from the scale of the fit to that of the result, whose error is not part of the SEs."""
        values, errors = self.values.copy(), self.errors.copy()
        if line is not None and not self.is_final:
            values[:2] = values[0] / line.slope, line.slope * values[1] + line.intercept
            errors[:2] = errors[0] / line.slope, line.slope * errors[1]
        names = ("a", "b") if math.isnan(values[2]) else ("a", "b", "c")
        return {
            "item_id": self.item_id,
            "model": "3PL" if "c" in names else self.model,
            "params": dict(zip(names, values.tolist(), strict=False)),
            "se": dict(zip(names, map(_or_none, errors.tolist()), strict=False)),
            "n_responses": self.n_responses,
            "p_correct": self.p_correct,
            "anchor": HELD if is_anchor else None,
            "fit": {"infit": None, "outfit": None, "rmsd": _or_none(self.rmsd), "md": _or_none(self.md)},
            "verdict": _verdict(HELD, self.reasons),
        }


class Verdicts:
    """The verdicts on the items of one calibration; without rules in the request there are none."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._rules = settings, settings.verdicts
        self.rounds = 0
        self._of_fit, self._of_scale = Reasons(), Reasons()
        self.held: list[Held] = []
        self._changed: dict[str, Reason] = {}
        self._item_ids: list[str] = []

    @property
    def are_asked_for(self) -> bool:
        return self._rules is not None

    @property
    def held_ids(self) -> set[str]:
        return {held.item_id for held in self.held}

    def used(self, responses: Responses) -> Responses:
        """Without the older answers to items that are estimated from their newer answers alone."""
        first = {item_id: reason.change.since for item_id, reason in self._changed.items() if reason.change}
        return responses.since(first) if first else responses

    def hold_by_fit(self, bank: FittedBank, matrix: Covariance, exclusion: Exclusion, *, is_final: bool) -> bool:
        """Take out the items that fail whatever the scale; return whether there are any."""
        if not self._rules:
            return False
        own = estimates(bank.model, bank.fit.evaluation.x, matrix)
        self._of_fit = judge_fit(self._rules, bank, own)
        return self._hold(self._of_fit, bank, own, exclusion, is_final)

    def hold_on_scale(
        self, bank: FittedBank, matrix: Covariance, exclusion: Exclusion, line: Line | None, *, is_final: bool
    ) -> bool:
        """Take out the items that fail on the scale of the result, and the older answers to items that changed; return
        whether there are any.
        """
        if not self._rules:
            return False
        own = estimates(bank.model, bank.fit.evaluation.x, matrix)
        final = own if line is None else _moved(own, line)
        self._of_scale = judge_scale(self._rules, bank, own, final)
        self._item_ids = bank.responses.item_ids
        has_older = self._leave_out_older()
        return self._hold(self._of_scale, bank, own, exclusion, is_final) or has_older

    def published(self, row: int) -> dict[str, Any]:
        """The contract's verdict on the item in this row of the result."""
        changed = self._changed.get(self._item_ids[row]) if self._rules else None
        found = [*self._of_fit.get(row, ()), *self._of_scale.get(row, ())]
        return _verdict("published", [*found, changed] if changed else found)

    def _leave_out_older(self) -> bool:
        """Note the items whose older answers are left out; return whether there are new ones."""
        newer = [
            (self._item_ids[row], reason)
            for row, reasons in self._of_scale.items()
            for reason in reasons
            if reason.action == USE_NEWER
        ]
        if not newer or self.rounds >= _MOST_ROUNDS:
            return False
        self._changed |= newer
        return True

    def _hold(
        self, reasons: Reasons, bank: FittedBank, own: ItemEstimates, exclusion: Exclusion, is_final: bool
    ) -> bool:
        rows = [row for row, found in reasons.items() if any(reason.action == HOLD for reason in found)]
        if not rows or self.rounds >= _MOST_ROUNDS:
            return False
        numbers = np.flatnonzero(exclusion.items)
        answers, right = bank.responses.item_counts()
        rmsd, md = curve_gaps(bank.fit, bank.model)
        for row in rows:
            item_id = bank.responses.item_ids[row]
            self.held.append(
                Held(
                    item_id, self._settings.model_of(item_id), own.values[row], own.errors[row], int(answers[row]),
                    float(right[row] / answers[row]), float(rmsd[row]), float(md[row]), reasons[row], is_final,
                )
            )  # fmt: skip
            exclusion.drop_item(int(numbers[row]), HELD)
        return True


def _moved(own: ItemEstimates, line: Line) -> ItemEstimates:
    values, errors = own.values.copy(), own.errors.copy()
    values[:, 0] /= line.slope
    values[:, 1] = line.slope * values[:, 1] + line.intercept
    errors[:, 0] /= line.slope
    errors[:, 1] *= line.slope
    return ItemEstimates(values, errors)


def _verdict(status: str, reasons: list[Reason]) -> dict[str, Any]:
    return {"status": status, "reasons": [reason.to_contract() for reason in reasons]}


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
