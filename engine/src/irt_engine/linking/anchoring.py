"""The anchors of a calibration: which there are, which drifted, and the line to their scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from irt_engine.contract.settings import Anchor, Settings
from irt_engine.errors import TooFewAnchors
from irt_engine.estimation.fitting import FittedBank
from irt_engine.linking.constants import AnchorParameters, link
from irt_engine.linking.drift import Screening, screen
from irt_engine.model.line import Line
from irt_engine.standard_errors.covariance import Covariance
from irt_engine.standard_errors.estimates import abc, estimates


@dataclass(frozen=True)
class Anchoring:
    """How the scale was fixed.

    :ivar anchors: the anchors that were calibrated, sorted by item.
    :ivar screening: what was found of each.
    :ivar line: linking constants; None with the method `fixed`, whose scale is that of the anchors already.
    :ivar rows: rows of the anchors that `line` comes from among the calibrated items.
    :ivar held: anchors held at their parameters, by item.
    """

    method: str
    anchors: Sequence[Anchor]
    screening: Screening
    line: Line | None = None
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    held: dict[str, Anchor] = field(default_factory=dict)

    def role(self, item_id: str) -> str | None:
        """`used`, `drifted` or `fixed`; None for an item that is no anchor."""
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
    """Screen the anchors of a free calibration and link by those that did not drift."""
    anchors, rows, parameters, one_slope = _compare(settings, bank)
    screening = _screened(settings, bank, covariance, rows, parameters, one_slope)
    line = link(settings.linking.method, parameters.take(screening.kept), one_slope=one_slope)
    return Anchoring(settings.linking.method, anchors, screening, line, rows[screening.kept])


def fixed_anchors(settings: Settings, bank: FittedBank, covariance: Covariance) -> Anchoring:
    """Screen the anchors of a free calibration; those that did not drift are to be held fixed in the next."""
    anchors, rows, parameters, one_slope = _compare(settings, bank)
    screening = _screened(settings, bank, covariance, rows, parameters, one_slope)
    held = {anchor.item_id: anchor for anchor, kept in zip(anchors, screening.kept, strict=True) if kept}
    return Anchoring("fixed", anchors, screening, held=held)


def _compare(settings: Settings, bank: FittedBank) -> tuple[list[Anchor], np.ndarray, AnchorParameters, bool]:
    anchors = require_anchors(settings, bank.responses.item_ids)
    number = {item: j for j, item in enumerate(bank.responses.item_ids)}
    rows = np.array([number[anchor.item_id] for anchor in anchors], np.int64)
    values = abc(bank.model, bank.fit.evaluation.x)[rows]
    parameters = AnchorParameters(
        np.array([anchor.a for anchor in anchors]),
        np.array([anchor.b for anchor in anchors]),
        np.array([anchor.c or 0.0 for anchor in anchors]),
        values[:, 0], values[:, 1], np.nan_to_num(values[:, 2]),
    )  # fmt: skip
    one_slope = not bank.model.free[:-1, 0].any() and not bank.model.common.any()
    return anchors, rows, parameters, one_slope


def _screened(
    settings: Settings, bank: FittedBank, covariance: Covariance, rows: np.ndarray,
    parameters: AnchorParameters, one_slope: bool,
) -> Screening:  # fmt: skip
    """:raise TooFewAnchors: too few anchors are left."""
    errors = estimates(bank.model, bank.fit.evaluation.x, covariance).errors[rows]
    screening = screen(parameters, errors[:, 0], errors[:, 1], settings.linking.drift_z, one_slope=one_slope)
    left, minimum = int(screening.kept.sum()), settings.linking.min_anchors
    if left < minimum:
        raise TooFewAnchors(
            f"{left} of {screening.kept.size} anchors are left after {screening.kept.size - left} drifted "
            f"(robust z beyond {settings.linking.drift_z:g}); linking needs at least {minimum}"
        )
    return screening
