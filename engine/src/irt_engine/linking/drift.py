"""Finds anchors that drifted: each is judged by its slope and intercept together, against the line of the others.

Under the linking line theta' = A theta + B, an anchor with the reference parameters a', b' has the slope A a' and the
intercept a' (B - b') on the scale theta of the new calibration. Both are linear in A and B, so the line is the
generalised least squares estimate over the anchors, each weighted by the inverse covariance of its new a and d. An
anchor's statistic is the squared distance of its (a, d) from the values under the line of all others, in the metric of
their covariance and of the line's: chi-square with 2 degrees of freedom if nothing changed (Lord 1980, section 14.4,
with the line's error added). Intercepts are judged instead of difficulties, because the error of b = -d / a of a flat
or extreme item is mostly that of its slope, and hides any change.

Reference parameters have errors too, and no item fits perfectly: with many answers, every anchor would differ. So the
covariance has a second part, as if each reference log a, and each b in units of the new scale, had an error of standard
deviation tau. With tau, the median of the statistics is that of chi-square; tau is 0 if the median is not above that
anyway. So an anchor has drifted if it differs by more than the anchors do among themselves. As far as an anchor's
covariance rests on tau, an estimate, its statistic follows an F distribution (with Satterthwaite's degrees of freedom).
On average, at most a share `alpha` of the anchors reported as drifted did not drift (the false discovery rate,
Benjamini & Hochberg 1995); if none drifted, `alpha` is the probability that any is reported. The search begins with the
line that fits the better half of the anchors (least trimmed squares, Rousseeuw & Van Driessen 2006), so that a minority
cannot bend it.

Robust z (Huynh & Meyer 2010) describes each anchor: z = (D - median(D)) / (0.74 IQR(D)) over the anchors kept, for
D = log(a / a') and for D = b' - A b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from irt_engine.linking.constants import AnchorParameters

# With fewer anchors, there is no majority to differ from.
_MIN_ANCHORS = 4
_ROUNDS = 20
# First search: maximum number of starting lines, and steps from each.
_STARTS, _STEPS = 20, 6
# First search: allowance for errors of reference parameters, so that a few precise anchors do not outweigh the others.
_FIRST_SPREAD = 0.1
_HALVINGS, _LEAST_TAU, _LARGEST_TAU = 24, 1e-3, 1e3
# Least spread, for differences that are all equal; far below any in real data.
_LEAST_SPREAD = 1e-6
# Medians of chi-square with 1 and 2 degrees of freedom.
_MEDIAN = np.array([np.nan, 0.454936423119573, 2.0 * math.log(2.0)])
# Degrees of freedom per anchor of a variance that is estimated by the median of such statistics: 8 (f(m) m)^2.
_INFORMATIVE = np.array([np.nan, 0.37, 0.96])


@dataclass(frozen=True)
class Screening:
    """Results of the screening of n anchors.

    :ivar kept: (n,) bool, those that did not drift.
    :ivar z_a: (n,), robust z of log a, and `z_b` of b; descriptive, unless there is a limit for them.
    :ivar statistic: (n,), chi-square; NaN if the anchor could not be judged.
    :ivar p: (n,), probability of at least this difference if the anchor did not drift.
    :ivar reasons: why an anchor is not kept, or None.
    :ivar spread: tau, by which the anchors kept differ among themselves beyond their errors, as an SD of log a, and of
        b on the new scale.
    :ivar line: slope and intercept of the line of the anchors kept; None for fewer than 4 anchors.
    """

    kept: np.ndarray
    z_a: np.ndarray
    z_b: np.ndarray
    statistic: np.ndarray
    p: np.ndarray
    reasons: list[str | None]
    spread: float = 0.0
    line: tuple[float, float] | None = None


@dataclass(frozen=True)
class AnchorErrors:
    """Covariances (n, 2, 2) of the anchors' new a and d = -a b; NaN where the data do not determine them.

    :ivar slope_estimated: (n,) bool; if false, only the difficulty is judged.
    """

    covariance: np.ndarray
    slope_estimated: np.ndarray


def screen(
    anchors: AnchorParameters, errors: AnchorErrors, alpha: float, z_limit: float | None = None, *,
    one_slope: bool = False,
) -> Screening:  # fmt: skip
    """Find the anchors that drifted.

    :param alpha: false discovery rate; 0 keeps all anchors.
    :param z_limit: if given, a robust z must exceed it as well.
    :param one_slope: the new calibration fixes all slopes (Rasch); only difficulties are judged.
    """
    positive = anchors.a > 0
    reasons: list[str | None] = [None if ok else "discrimination is not positive" for ok in positive]
    if positive.sum() < _MIN_ANCHORS:
        nothing, zeros = np.full(positive.size, np.nan), np.zeros(positive.size)
        return Screening(positive, zeros, zeros, nothing, nothing, reasons)
    system = _System(anchors, errors, positive, one_slope)
    line: np.ndarray | None = system.first_line()
    kept = positive
    for _ in range(_ROUNDS):
        judged = _judge(system, kept, line)
        z_a, z_b = _robust_z(anchors, kept, judged.line[0], one_slope=one_slope)
        drifted = positive & _discoveries(judged.p, alpha)
        if z_limit is not None:
            drifted &= (np.abs(z_a) > z_limit) | (np.abs(z_b) > z_limit)
        if (kept == (positive & ~drifted)).all() and line is None:
            break
        kept, line = positive & ~drifted, None
    for i in np.flatnonzero(positive & ~kept):
        reasons[i] = judged.reason(int(i), anchors, int(system.degrees[i]))
    return Screening(kept, z_a, z_b, judged.statistic, judged.p, reasons, judged.spread, judged.line)


@dataclass(frozen=True)
class _Judgement:
    """Statistics of all anchors against one line."""

    line: tuple[float, float]
    spread: float
    statistic: np.ndarray
    p: np.ndarray

    def reason(self, i: int, anchors: AnchorParameters, degrees: int) -> str:
        slope, intercept = self.line
        a, b = anchors.a[i] / slope, slope * anchors.b[i] + intercept
        figures = f"a {a:.2f} and b {b:.2f} instead of {anchors.a_ref[i]:.2f} and {anchors.b_ref[i]:.2f}"
        return f"drifted: {figures} (chi-square {self.statistic[i]:.1f}, {degrees} df, p {self.p[i]:.1e})"


def _judge(system: _System, kept: np.ndarray, line: np.ndarray | None) -> _Judgement:
    """Judge against `line`, or else against that of the anchors `kept`."""

    def statistic(spread: float) -> tuple[np.ndarray, np.ndarray]:
        fitted = system.line(kept, spread) if line is None else line
        return system.distances(kept, fitted, spread, exact=line is None), fitted

    def excess(values: np.ndarray) -> float:
        known = kept & np.isfinite(values)
        return float(np.median(values[known] / _MEDIAN[system.degrees[known]])) - 1.0 if known.any() else 0.0

    spread = 0.0
    if excess(statistic(0.0)[0]) > 0.0:
        high = _LEAST_TAU
        while high < _LARGEST_TAU and excess(statistic(high)[0]) > 0.0:
            high *= 4.0
        low = 0.25 * high if high > _LEAST_TAU else 0.0
        for _ in range(_HALVINGS):
            spread = 0.5 * (low + high)
            low, high = (spread, high) if excess(statistic(spread)[0]) > 0.0 else (low, spread)
    values, fitted = statistic(spread)
    reliance = system.reliance(spread)
    informed = float(_INFORMATIVE[system.degrees[kept & system.known]].sum())
    freedom = max(informed, 1.0) / np.maximum(reliance, 1e-6) ** 2
    tail = _upper_tail(values, freedom, system.degrees)
    return _Judgement((float(fitted[0]), float(fitted[1])), spread, values, tail)


class _System:
    """Observations y_j = X_j (A, B) + error of each anchor, (n, 2) and (n, 2, 2), with the errors' covariances.

    If an anchor's slope is not estimated, its second observation is the difficulty, b' = A b + B, and it has no first.
    """

    def __init__(self, anchors: AnchorParameters, errors: AnchorErrors, positive: np.ndarray, one_slope: bool) -> None:
        n = anchors.a.size
        self._anchors, self._both = anchors, errors.slope_estimated
        slopes = np.where(positive, anchors.a, 1.0)
        typical = float(np.median(slopes / anchors.a_ref))
        self._fixed_slope = float(anchors.a.mean() / anchors.a_ref.mean()) if one_slope else None
        if self._fixed_slope is not None:
            typical = self._fixed_slope
        self.degrees = np.where(self._both, 2, 1)
        self._y = np.column_stack([anchors.a, anchors.a_ref * anchors.b_ref - anchors.a * anchors.b])
        self._y[~self._both] = np.column_stack([np.zeros(n), anchors.b_ref])[~self._both]
        self._x = np.zeros((n, 2, 2))
        self._x[:, 0, 0] = self._x[:, 1, 1] = anchors.a_ref
        self._x[~self._both] = 0.0
        self._x[~self._both, 1] = np.column_stack([anchors.b, np.ones(n)])[~self._both]
        self._covariance = errors.covariance.copy()
        of_b = self._covariance[:, 1, 1] * (typical / slopes) ** 2
        # Effect on a and d of an error of 1 in the reference log a, and in b in units of the new scale.
        difference = anchors.b_ref - typical * anchors.b
        expected_b = (anchors.b_ref - np.median(difference)) / typical
        self._unit = np.ones((n, 2, 2)) * (typical * anchors.a_ref[:, None, None]) ** 2
        self._unit[:, 0, 1] *= -expected_b
        self._unit[:, 1, 0] *= -expected_b
        self._unit[:, 1, 1] *= 1.0 + expected_b**2
        for matrices, of_second in ((self._covariance, of_b), (self._unit, np.full(n, typical**2))):
            matrices[~self._both] = 0.0
            matrices[~self._both, 1, 1] = of_second[~self._both]
        # Keep the matrix regular without a first observation.
        self._covariance[~self._both, 0, 0] = 1.0
        self.known = positive & np.isfinite(self._covariance).all(axis=(1, 2)) & (_least(self._covariance) > 0)

    def _normal(self, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Covariance, X' C^-1 X and X' C^-1 y of each anchor; 0 where the errors are unknown."""
        covariance = self._covariance + spread**2 * self._unit
        covariance[~self.known] = np.eye(2)
        weighted = np.einsum("nik,nij->nkj", self._x, np.linalg.inv(covariance)) * self.known[:, None, None]
        return covariance, weighted @ self._x, np.einsum("nkj,nj->nk", weighted, self._y)

    def reliance(self, spread: float) -> np.ndarray:
        """Share (n,) of each anchor's covariance that comes from `spread`."""
        covariance, _, _ = self._normal(spread)
        trace = np.einsum("nij,nji->n", np.linalg.inv(covariance), spread**2 * self._unit)
        share: np.ndarray = trace / self.degrees
        return share

    def line(self, kept: np.ndarray, spread: float) -> np.ndarray:
        """(A, B) by generalised least squares over `kept`."""
        _, matrices, vectors = self._normal(spread)
        return self._one(matrices[kept], vectors[kept])

    def _one(self, matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """The line (2,) of these anchors together."""
        line: np.ndarray = self._solved(matrices.sum(axis=0)[None], vectors.sum(axis=0)[None])[0][0]
        return line

    def distances(self, kept: np.ndarray, line: np.ndarray, spread: float, *, exact: bool) -> np.ndarray:
        """Chi-square of each anchor (n,), against `line`, or if `exact` against that of the others, with its error."""
        covariance, matrices, vectors = self._normal(spread)
        if exact:
            own = kept[:, None, None]
            lines, errors = self._solved(
                matrices[kept].sum(axis=0) - own * matrices, vectors[kept].sum(axis=0) - own[:, 0] * vectors
            )
            covariance = covariance + self._x @ errors @ self._x.transpose(0, 2, 1)
        else:
            lines = np.broadcast_to(line, (kept.size, 2))
        gap = self._y - np.einsum("nij,nj->ni", self._x, lines)
        gap[~self._both, 0] = 0.0
        found = np.einsum("ni,ni->n", gap, np.linalg.solve(covariance, gap[:, :, None])[:, :, 0])
        judged: np.ndarray = np.where(self.known, found, np.nan)
        return judged

    def _solved(self, matrices: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lines (k, 2) and their covariances, of k systems; one that determines no line gives (1, 0)."""
        if self._fixed_slope is not None:
            total = np.maximum(matrices[:, 1, 1], 1e-300)
            intercept = (vectors[:, 1] - matrices[:, 1, 0] * self._fixed_slope) / total
            errors = np.zeros_like(matrices)
            errors[:, 1, 1] = 1.0 / total
            return np.column_stack([np.full(intercept.size, self._fixed_slope), intercept]), errors
        good = _least(matrices) > 1e-12 * np.trace(matrices, axis1=1, axis2=2)
        safe = np.where(good[:, None, None], matrices, np.eye(2))
        lines = np.linalg.solve(safe, np.where(good[:, None], vectors, [1.0, 0.0])[:, :, None])[:, :, 0]
        return lines, np.linalg.inv(safe)

    def first_line(self) -> np.ndarray:
        """The line whose better half of the anchors is nearest to it."""
        _, matrices, vectors = self._normal(_FIRST_SPREAD)
        size = self.known.size
        half = int(self.known.sum()) // 2 + 1
        best, lowest = self.line(self.known, _FIRST_SPREAD), np.inf
        for first in np.unique(np.linspace(0, size - 1, min(size, _STARTS)).astype(int)):
            line = self._through(int(first))
            for _ in range(_STEPS):
                distances = self.distances(self.known, line, _FIRST_SPREAD, exact=False)
                nearest = np.argsort(distances, kind="stable")[:half]
                line = self._one(matrices[nearest], vectors[nearest])
            total = float(np.sort(self.distances(self.known, line, _FIRST_SPREAD, exact=False))[:half].sum())
            if total < lowest:
                best, lowest = line, total
        return best

    def _through(self, j: int) -> np.ndarray:
        """The line through anchor j."""
        anchors = self._anchors
        slope = anchors.a[j] / anchors.a_ref[j] if self._fixed_slope is None else self._fixed_slope
        return np.array([slope, anchors.b_ref[j] - slope * anchors.b[j]])


def _least(matrices: np.ndarray) -> np.ndarray:
    """Smallest eigenvalues (n,) of symmetric matrices (n, 2, 2); NaN stays."""
    middle = 0.5 * (matrices[:, 0, 0] + matrices[:, 1, 1])
    half = 0.5 * (matrices[:, 0, 0] - matrices[:, 1, 1])
    smallest: np.ndarray = middle - np.sqrt(half**2 + matrices[:, 0, 1] ** 2)
    return smallest


def _robust_z(
    anchors: AnchorParameters, kept: np.ndarray, slope: float, *, one_slope: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Robust z of log a and of b, (n,) each."""
    log_ratio = np.log(np.where(anchors.a > 0, anchors.a, 1.0) / anchors.a_ref)
    if one_slope:
        log_ratio[:] = 0.0
    found = []
    for differences in (log_ratio, anchors.b_ref - slope * anchors.b):
        low, middle, high = np.percentile(differences[kept], [25, 50, 75])
        found.append((differences - middle) / max(0.74 * (high - low), _LEAST_SPREAD))
    return found[0], found[1]


def _upper_tail(statistic: np.ndarray, freedom: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of a larger statistic with 1 or 2 degrees of freedom, and `freedom` of its variance.

    Exact for 2, for 1 by Wallace's (1959) transformation of t to a normal deviate. NaN stays.
    """
    chi_square = freedom * np.log1p(statistic / freedom)
    deviate = np.sqrt(chi_square) * (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
    one = np.array([math.erfc(value / math.sqrt(2.0)) if value >= 0 else np.nan for value in deviate])
    return np.where(degrees == 2, np.exp(-0.5 * chi_square), one)


def _discoveries(p: np.ndarray, alpha: float) -> np.ndarray:
    """Which (n,) differ by more than chance, by Benjamini & Hochberg's step-up procedure; NaN never does."""
    order = np.argsort(p)
    known = int(np.isfinite(p).sum())
    passed = np.flatnonzero(p[order[:known]] <= alpha * (np.arange(known) + 1) / max(known, 1))
    found = np.zeros(p.size, bool)
    if passed.size and alpha > 0:
        found[order[: passed[-1] + 1]] = True
    return found
