"""The anchors of a calibration: which there are, which drifted, and the line to their scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from irt_engine.contract.anchors import Anchor
from irt_engine.contract.settings import Settings
from irt_engine.errors import CalibrationError, TooFewAnchors
from irt_engine.estimation.fitting import FittedBank
from irt_engine.linking.agreement import Agreement, agreement, require_agreement
from irt_engine.linking.constants import AnchorParameters, link
from irt_engine.linking.drift import AnchorErrors, Screening, screen
from irt_engine.model.line import Line
from irt_engine.standard_errors.covariance import Covariance
from irt_engine.standard_errors.estimates import abc, slope_and_intercept

# With more anchors, none has much influence, and each would need a linking without it.
_MOST_LEFT_OUT = 200
# With a larger slope or intercept from a free calibration to the anchors, their scale is far from N(0, 1).
_FAR = 4.0
_NO_ANCHORS = np.empty((0, 2))


@dataclass(frozen=True)
class Anchoring:
    """How the scale was fixed.

    :ivar anchors: the anchors that were calibrated, sorted by item.
    :ivar screening: the results of the screening for drift.
    :ivar line: linking constants; None with the method `fixed`, whose scale already is that of the anchors.
    :ivar rows: rows among the calibrated items of the anchors that `line` comes from.
    :ivar held: anchors held at their parameters, by item.
    :ivar influence: (n, 3), what each anchor changes in slope, intercept and mean b of the other items; NaN for unused
        ones. None with the method `fixed`.
    :ivar free_line: with the method `fixed`, from the scale of the free calibration to that of the anchors.
    :ivar agreement: of the anchors as a whole with the reference.
    :ivar unit: with the method `fixed`, from the scale of the estimation to that of the anchors, if that is far from
        N(0, 1), such as mean 500 and SD 100: EM hardly moves there.
    """

    method: str
    anchors: Sequence[Anchor]
    screening: Screening
    agreement: Agreement
    line: Line | None = None
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    held: dict[str, Anchor] = field(default_factory=dict)
    influence: np.ndarray | None = None
    free_line: Line | None = None
    unit: Line | None = None

    @property
    def to_reference(self) -> Line | None:
        """From the scale of the estimation to that of the result; None where they are the same."""
        return self.line or self.unit

    def held_in_fit(self) -> dict[str, Anchor]:
        """The anchors held, with their parameters on the scale of the estimation."""
        if self.unit is None:
            return self.held
        a, b = self.unit.slope, self.unit.intercept
        return {
            item: dataclasses.replace(anchor, a=anchor.a * a, b=(anchor.b - b) / a)
            for item, anchor in self.held.items()
        }

    def role(self, item_id: str) -> str | None:
        """`used`, `drifted` or `fixed`; None if the item is not an anchor."""
        return self._roles.get(item_id)

    @property
    def n_used(self) -> int:
        return int(self.screening.kept.sum())

    @property
    def _roles(self) -> dict[str, str]:
        good = "fixed" if self.method == "fixed" else "used"
        return {
            anchor.item_id: good if kept else "drifted"
            for anchor, kept in zip(self.anchors, self.screening.kept, strict=True)
        }


def require_anchors(settings: Settings, item_ids: Sequence[str]) -> list[Anchor]:
    """The fixed anchors among the items, sorted by item.

    :raise TooFewAnchors: fewer than the settings ask for.
    """
    present = set(item_ids)
    given = [anchor for anchor in settings.anchors if anchor.fixed]
    anchors = sorted((anchor for anchor in given if anchor.item_id in present), key=lambda anchor: anchor.item_id)
    minimum = settings.linking.min_anchors
    if len(anchors) < minimum:
        raise TooFewAnchors(
            f"linking by {settings.linking.method} needs at least {minimum} anchors; of the {len(given)} given, "
            f"{len(anchors)} are among the {len(item_ids)} items that can be calibrated"
        )
    return anchors


def linked_anchors(settings: Settings, bank: FittedBank, covariance: Covariance) -> Anchoring:
    """Screen the anchors of a free calibration and link by those that did not drift.

    :raise CalibrationError: the anchors contradict their reference parameters.
    """
    compared = _compare(settings, bank, covariance)
    screening = _screened(settings, compared)
    method = settings.linking.method
    used = compared.parameters.take(screening.kept)
    line = link(method, used, one_slope=compared.one_slope)
    found = _agreed(settings, bank, compared, screening, line)
    others = np.delete(abc(bank.model, bank.fit.evaluation.x)[:, 1], compared.rows)
    influence = np.full((screening.kept.size, 3), np.nan)
    influence[screening.kept] = _influence(method, used, line, others, one_slope=compared.one_slope)
    return Anchoring(
        method, compared.anchors, screening, found, line, compared.rows[screening.kept], influence=influence
    )


def _influence(method: str, used: AnchorParameters, line: Line, others: np.ndarray, *, one_slope: bool) -> np.ndarray:
    """What each anchor changes, (n, 3): slope, intercept, and mean b of the items that are not anchors.

    The values with the anchor minus those without it; NaN if there are too many anchors to leave out one by one, or if
    the others do not determine a line.
    """
    n = used.a.size
    found = np.full((n, 3), np.nan)
    if not 3 <= n <= _MOST_LEFT_OUT:
        return found
    mean = float(others.mean()) if others.size else np.nan
    for i in range(n):
        try:
            without = link(method, used.take(np.arange(n) != i), one_slope=one_slope)
        except CalibrationError:
            continue
        slope, intercept = line.slope - without.slope, line.intercept - without.intercept
        found[i] = slope, intercept, slope * mean + intercept
    return found


def fixed_anchors(settings: Settings, bank: FittedBank, covariance: Covariance) -> Anchoring:
    """Screen the anchors of a free calibration; those that did not drift will be held fixed in the next.

    :raise CalibrationError: as `linked_anchors`.
    """
    compared = _compare(settings, bank, covariance)
    screening = _screened(settings, compared)
    if screening.line is None:
        line = link("mean_mean", compared.parameters.take(screening.kept), one_slope=compared.one_slope)
    else:
        line = Line(*screening.line, np.empty((0, 2)), np.empty((0, 2)))
    found = _agreed(settings, bank, compared, screening, line)
    held = {anchor.item_id: anchor for anchor, kept in zip(compared.anchors, screening.kept, strict=True) if kept}
    far = not (1.0 / _FAR <= line.slope <= _FAR and abs(line.intercept) <= _FAR)
    # A prior on a or b refers to the scale of the anchors, so the estimation must stay on it.
    unit = Line(line.slope, line.intercept, _NO_ANCHORS, _NO_ANCHORS) if far and not settings.priors.on_scale else None
    return Anchoring("fixed", compared.anchors, screening, found, held=held, free_line=line, unit=unit)


@dataclass(frozen=True)
class _Compared:
    """Anchors of the bank with their `rows` among its items, and their parameters, given and new."""

    anchors: list[Anchor]
    rows: np.ndarray
    parameters: AnchorParameters
    errors: AnchorErrors
    one_slope: bool


def _compare(settings: Settings, bank: FittedBank, covariance: Covariance) -> _Compared:
    anchors = require_anchors(settings, bank.responses.item_ids)
    number = {item: j for j, item in enumerate(bank.responses.item_ids)}
    rows = np.array([number[anchor.item_id] for anchor in anchors], np.int64)
    x = bank.fit.evaluation.x
    values = abc(bank.model, x)[rows]
    parameters = AnchorParameters(
        np.array([anchor.a for anchor in anchors]),
        np.array([anchor.b for anchor in anchors]),
        np.array([anchor.c or 0.0 for anchor in anchors]),
        values[:, 0], values[:, 1], np.nan_to_num(values[:, 2]),
    )  # fmt: skip
    one_slope = not bank.model.free[: bank.model.n_items, 0].any() and not bank.model.common.any()
    matrices, estimated = slope_and_intercept(bank.model, covariance, rows)
    return _Compared(anchors, rows, parameters, AnchorErrors(matrices, estimated), one_slope)


def _screened(settings: Settings, compared: _Compared) -> Screening:
    """:raise TooFewAnchors: too few anchors are left."""
    options = settings.linking
    screening = screen(
        compared.parameters, compared.errors, options.drift_alpha, options.drift_z, one_slope=compared.one_slope
    )
    left, minimum = int(screening.kept.sum()), options.min_anchors
    if left < minimum:
        raise TooFewAnchors(
            f"{left} of {screening.kept.size} anchors are left after {screening.kept.size - left} drifted "
            f"(false discovery rate {options.drift_alpha:g}); linking needs at least {minimum}"
        )
    return screening


def _agreed(settings: Settings, bank: FittedBank, compared: _Compared, screening: Screening, line: Line) -> Agreement:
    found = agreement(compared.parameters, compared.errors, screening, line, bank.abilities)
    require_agreement(found, settings.linking, [anchor.item_id for anchor in compared.anchors])
    return found
