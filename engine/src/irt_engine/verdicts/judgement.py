"""What is wrong with an item, by the rules of a request.

`reversed`, `misfit` and `too_few_answers` do not depend on the scale and are judged after each estimation, before
anchors are used; `flat`, `out_of_range`, `imprecise` and `changed` are judged on the scale of the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.answers.times import written
from irt_engine.contract.verdicts import CHANGED, FLAT, IMPRECISE, MISFIT, OUT_OF_RANGE, REVERSED, TOO_FEW, Rule
from irt_engine.estimation.fitting import FittedBank
from irt_engine.scores.itemfit import curve_gaps
from irt_engine.standard_errors.estimates import ItemEstimates
from irt_engine.verdicts.changes import Change, Changes, changes_of
from irt_engine.verdicts.slopes import own_slopes

# Where no rule says how far below 0 a slope is reversed.
_REVERSED_Z = 2.0


@dataclass(frozen=True)
class Reason:
    """Why an item is held or warned of.

    :ivar figure: what was found; None where there is no figure, such as an SE that the answers do not determine.
    :ivar parameter: the parameter that is meant, `a` or `b`, where a rule has a limit for each.
    :ivar change: when the item changed, and the probability of that without a change.
    """

    reason: str
    action: str
    figure: float | None
    limit: float
    parameter: str | None = None
    change: Change | None = None

    def to_contract(self) -> dict[str, Any]:
        named = {"parameter": self.parameter} if self.parameter else {}
        dated = {"at": written(self.change.since), "probability": self.change.probability} if self.change else {}
        return {
            "reason": self.reason, "action": self.action, "figure": self.figure, "limit": self.limit, **named, **dated,
        }  # fmt: skip


Reasons = dict[int, list[Reason]]


def judge_fit(rules: Mapping[str, Rule], bank: FittedBank, own: ItemEstimates) -> Reasons:
    """Reasons by row that do not depend on the scale; `own` are the estimates on the scale of the fit."""
    found = _Found(rules)
    z = slope_z(bank, own)
    if rule := rules.get(REVERSED):
        found.add(REVERSED, z < -rule.limit, z, rule.limit)
    if rule := rules.get(MISFIT):
        rmsd, _ = curve_gaps(bank.fit, bank.model)
        found.add(MISFIT, (rmsd > rule.limit) & bank.model.free[: bank.model.n_items, 1], rmsd, rule.limit)
    if rule := rules.get(TOO_FEW):
        answers, _ = bank.responses.item_counts()
        found.add(
            TOO_FEW,
            (answers < rule.limit) & bank.model.free[: bank.model.n_items, 1],
            answers.astype(float),
            rule.limit,
        )
    return found.reasons


def judge_scale(rules: Mapping[str, Rule], bank: FittedBank, own: ItemEstimates, final: ItemEstimates) -> Reasons:
    """Reasons by row on the scale of the result: `final` are the estimates there."""
    found = _Found(rules)
    free, slope_free = bank.model.free[: bank.model.n_items, 1], bank.model.free[: bank.model.n_items, 0]
    (a, b), (se_a, se_b) = final.values[:, :2].T, final.errors[:, :2].T
    if rule := rules.get(FLAT):
        least = rules[REVERSED].limit if REVERSED in rules else _REVERSED_Z
        is_reversed = slope_z(bank, own) < -least
        found.add(FLAT, (a <= rule.limit) & slope_free & ~is_reversed, a, rule.limit)
    if rule := rules.get(OUT_OF_RANGE):
        found.add(OUT_OF_RANGE, (np.abs(b) > rule.limit) & free, b, rule.limit, "b")
        found.add(OUT_OF_RANGE, (np.abs(a) > rule.limit_a) & slope_free, a, rule.limit_a, "a")
    if rule := rules.get(IMPRECISE):
        # An SE that is not a number is beyond any limit.
        found.add(IMPRECISE, ~(se_b <= rule.limit) & free, se_b, rule.limit, "b")
        found.add(IMPRECISE, ~(se_a <= rule.limit_a) & slope_free, se_a, rule.limit_a, "a")
    if rule := rules.get(CHANGED):
        changes = changes_of(bank)
        by = changes.of_b(a)
        found.add(CHANGED, changes.significant & (np.abs(by) > rule.limit), by, rule.limit, "b", changes)
    return found.reasons


def slope_z(bank: FittedBank, own: ItemEstimates) -> np.ndarray:
    """Slope over its SE, (J,). For items that share a slope: the slope that each would have alone.

    NaN for items held at given parameters.
    """
    a, se = own.values[:, 0].copy(), own.errors[:, 0].copy()
    shared = bank.model.free[: bank.model.n_items, 1] & ~bank.model.free[: bank.model.n_items, 0]
    if shared.any():
        a[shared], se[shared] = own_slopes(bank.fit.evaluation, shared)
    se[~bank.model.free[: bank.model.n_items, 1]] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        z: np.ndarray = a / se
    return z


class _Found:
    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules, self.reasons = rules, Reasons()

    def add(
        self, reason: str, wrong: np.ndarray, figures: np.ndarray, limit: float | None, parameter: str | None = None,
        changes: Changes | None = None,
    ) -> None:  # fmt: skip
        assert limit is not None  # noqa: S101
        for row in np.flatnonzero(wrong).tolist():
            figure = float(figures[row])
            told = Reason(
                reason, self._rules[reason].action, figure if math.isfinite(figure) else None, limit, parameter,
                changes.of_item(row) if changes else None,
            )  # fmt: skip
            self.reasons.setdefault(row, []).append(told)
