"""Checks whether the anchors as a whole agree with the reference: if they contradict it, any line would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irt_engine.contract.settings import LinkingOptions
from irt_engine.errors import CalibrationError
from irt_engine.linking.constants import AnchorParameters
from irt_engine.linking.drift import AnchorErrors, Screening
from irt_engine.model.line import Line

# Fewer anchors, each with an error in its reference, are not judged. Difficulties with a smaller spread, in SDs of the
# abilities, have no meaningful correlation.
_FEW, _LEAST_SPREAD = 5, 0.5
_NODES = np.linspace(-3.0, 3.0, 25)
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()


@dataclass(frozen=True)
class Agreement:
    """How the n anchors that did not drift agree with the reference.

    :ivar correlation_b: Pearson correlation of new and reference b, `correlation_log_a` of log a; None for fewer than 5
        anchors, or if the parameters do not differ.
    :ivar rmsd: root mean square, over anchors and abilities, of the difference between the new and the reference
        response functions after linking, less what the errors of the new parameters explain.
    :ivar drifted: share of the anchors that drifted.
    :ivar spread: how much the anchors differ among themselves beyond their errors, as an SD (tau of `drift`).
    """

    correlation_b: float | None
    correlation_log_a: float | None
    rmsd: float
    drifted: float
    spread: float


def agreement(
    anchors: AnchorParameters, errors: AnchorErrors, screening: Screening, line: Line, latent: tuple[float, float]
) -> Agreement:
    """:param latent: mean and SD of the abilities on the scale of the new calibration."""
    kept = screening.kept
    used = anchors.take(kept)
    difficulty = _correlation(used.b, used.b_ref, _LEAST_SPREAD * line.slope)
    slopes = _correlation(np.log(np.maximum(used.a, 1e-12)), np.log(used.a_ref), 1e-6)
    gap, noise = _gaps(used, errors.covariance[kept], line, latent)
    rmsd = float(np.sqrt(max(gap - noise, 0.0)))
    positive = anchors.a > 0
    drifted = float((positive & ~kept).sum() / max(positive.size, 1))
    return Agreement(difficulty, slopes, rmsd, drifted, screening.spread)


def require_agreement(found: Agreement, options: LinkingOptions, item_ids: Sequence[str]) -> None:
    """:raise CalibrationError: the anchors contradict the reference; with the figures. Fewer than 5 are accepted."""
    if len(item_ids) < _FEW:
        return
    broken = []
    if found.drifted > options.max_drifted:
        broken.append(f"{found.drifted:.0%} of them drifted, at most {options.max_drifted:.0%} may")
    if found.correlation_b is not None and found.correlation_b < options.min_correlation:
        difference = f"their difficulties correlate with the reference by {found.correlation_b:.2f}"
        broken.append(f"{difference}, at least {options.min_correlation:g} is needed")
    if found.rmsd > options.max_rmsd:
        difference = f"their response functions differ from the reference by {found.rmsd:.3f} (root mean square)"
        broken.append(f"{difference}, at most {options.max_rmsd:g} may be")
    if broken:
        raise CalibrationError(
            f"the {len(item_ids)} anchors contradict their reference parameters: {'; '.join(broken)}. "
            "Are the parameters joined to the right items, and on one scale?"
        )


def _correlation(new: np.ndarray, reference: np.ndarray, least_spread: float) -> float | None:
    if new.size < _FEW or reference.std() < least_spread or not new.std() > 0:
        return None
    return float(np.corrcoef(new, reference)[0, 1])


def _gaps(
    used: AnchorParameters, covariance: np.ndarray, line: Line, latent: tuple[float, float]
) -> tuple[float, float]:
    """Mean squared difference of the response functions over the abilities, and the part that errors explain."""
    theta = latent[0] + latent[1] * _NODES[:, None]
    with np.errstate(over="ignore"):
        new = 1.0 / (1.0 + np.exp(-used.a * (theta - used.b)))
        reference = 1.0 / (1.0 + np.exp(-used.a_ref * (line.slope * theta + line.intercept - used.b_ref)))
    gap = used.c + (1.0 - used.c) * new - used.c_ref - (1.0 - used.c_ref) * reference
    bend = (1.0 - used.c) * new * (1.0 - new)
    known = np.nan_to_num(covariance)
    noise = bend**2 * (known[:, 0, 0] * theta**2 + 2.0 * known[:, 0, 1] * theta + known[:, 1, 1])
    n = max(used.a.size, 1)
    return float((_WEIGHTS @ gap**2).sum() / n), float((_WEIGHTS @ noise).sum() / n)
