"""Linking constants: the line theta_ref = A theta + B that brings a calibration to the scale of its anchors.

a_ref = a / A, b_ref = A b + B (Kolen & Brennan 2014, chapter 6). Nodes of the curve methods: 41 from -4 to 4 on the
reference scale, under the standard normal density; the criterion is taken in one direction, new to reference.

===============  ================================================================================================
mean_mean        A = mean(a) / mean(a_ref), B = mean(b_ref) - A mean(b)  (Loyd & Hoover 1980)
mean_sigma       A = SD(b_ref) / SD(b), B likewise  (Marco 1977)
haebara          least sum over nodes and items of squared differences of response functions (Haebara 1980)
stocking_lord    least sum over nodes of squared differences of the test response functions (Stocking & Lord 1983)
===============  ================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.errors import CalibrationError
from irt_engine.model.line import Line

_NODES = np.linspace(-4.0, 4.0, 41)
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()
# One weight per node, against curves (nodes, n).
_W = _WEIGHTS[:, None]
_ITERATIONS = 100
_PRECISION = 1e-12
# Beyond this, a line is not a scale, and the squares of its values might be infinite.
_MAX_STRETCH = 1e12


@dataclass(frozen=True)
class AnchorParameters:
    """Parameters of n anchors, (n,) each, on the reference scale and newly calibrated; c is 0 without guessing."""

    a_ref: np.ndarray
    b_ref: np.ndarray
    c_ref: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray

    def take(self, chosen: np.ndarray) -> AnchorParameters:
        return AnchorParameters(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def link(method: str, anchors: AnchorParameters, *, one_slope: bool = False) -> Line:
    """Linking constants of `anchors` by `method`.

    :param one_slope: the new calibration fixes all slopes at 1 (Rasch). Its unit is the logit, not the spread of the
        abilities, so A is that of mean_mean for every method, and the method determines only B.
    :raise CalibrationError: no line with a positive slope fits, or the curves do not determine one.
    """
    line = _mean_sigma(anchors) if method == "mean_sigma" and not one_slope else _mean_mean(anchors)
    if method in ("haebara", "stocking_lord"):
        line = _by_curves(method, anchors, one_slope, line)
    if not (np.isfinite([line.slope, line.intercept]).all() and 0.0 < line.slope <= _MAX_STRETCH):
        raise CalibrationError(
            f"linking by {method} over {anchors.a.size} anchors gave slope {line.slope:g} and intercept "
            f"{line.intercept:g}; the slope must be positive, and at most {_MAX_STRETCH:g}"
        )
    return line


def _by_curves(method: str, anchors: AnchorParameters, one_slope: bool, start: Line) -> Line:
    try:
        # Far from an anchor's difficulty, exp overflows, and the curve is 0 as it should be.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return _Curves(method, anchors, one_slope).solve(start)
    except np.linalg.LinAlgError as error:
        # Curves that are steps, or flat at the nodes, do not react to small changes of the line.
        parameters = f"a from {anchors.a_ref.min():g} to {anchors.a_ref.max():g}, now {anchors.a.min():g} to "
        parameters += f"{anchors.a.max():g}; b from {anchors.b_ref.min():g} to {anchors.b_ref.max():g}, now "
        parameters += f"{anchors.b.min():g} to {anchors.b.max():g}"
        raise CalibrationError(
            f"linking by {method} over {anchors.a.size} anchors does not determine the line near slope "
            f"{start.slope:g}, intercept {start.intercept:g} ({error}); the anchors have {parameters}"
        ) from None


def _mean_mean(anchors: AnchorParameters) -> Line:
    n = anchors.a.size
    slope = anchors.a.mean() / anchors.a_ref.mean()
    intercept = anchors.b_ref.mean() - slope * anchors.b.mean()
    by_a = np.zeros((n, 2))
    by_a[:, 0] = 1.0 / (n * anchors.a_ref.mean())
    by_a[:, 1] = -anchors.b.mean() * by_a[:, 0]
    by_b = np.column_stack([np.zeros(n), np.full(n, -slope / n)])
    return Line(float(slope), float(intercept), by_a, by_b)


def _mean_sigma(anchors: AnchorParameters) -> Line:
    b, n = anchors.b, anchors.b.size
    square = ((b - b.mean()) ** 2).sum()
    reference = ((anchors.b_ref - anchors.b_ref.mean()) ** 2).sum()
    if not (square > 0 and reference > 0):
        raise CalibrationError(f"linking by mean_sigma needs anchors that differ in difficulty; the {n} do not")
    slope = np.sqrt(reference / square)
    intercept = anchors.b_ref.mean() - slope * b.mean()
    by_b = np.empty((n, 2))
    by_b[:, 0] = -slope * (b - b.mean()) / square
    by_b[:, 1] = -slope / n - b.mean() * by_b[:, 0]
    return Line(float(slope), float(intercept), np.zeros((n, 2)), by_b)


class _Curves:
    """The criterion of Haebara or of Stocking and Lord, as a function of (A, B)."""

    def __init__(self, method: str, anchors: AnchorParameters, one_slope: bool) -> None:
        self._by_item = method == "haebara"
        self._anchors, self._method = anchors, method
        self._free = np.array([not one_slope, True])
        eta = anchors.a_ref * (_NODES[:, None] - anchors.b_ref)
        self._reference = anchors.c_ref + (1.0 - anchors.c_ref) / (1.0 + np.exp(-eta))

    def solve(self, start: Line) -> Line:
        """Newton's method with step halving; Gauss-Newton where the criterion is not convex."""
        point = np.array([start.slope, start.intercept])
        derivatives = self._derivatives(point)
        for _ in range(_ITERATIONS):
            step = self._step(derivatives)
            while point[0] + step[0] <= 0.0:
                step = 0.5 * step
            for _ in range(40):
                then = self._derivatives(point + step)
                if then.value <= derivatives.value * (1.0 + 1e-14):
                    break
                step = 0.5 * step
            point, derivatives = point + step, then
            if np.abs(step).max() < _PRECISION:
                return self._line(point, derivatives)
        raise CalibrationError(
            f"linking by {self._method} over {self._anchors.a.size} anchors found no minimum near "
            f"slope {point[0]:g}, intercept {point[1]:g}"
        )

    def _step(self, derivatives: _Derivatives) -> np.ndarray:
        free = np.ix_(self._free, self._free)
        hessian = derivatives.hessian[free]
        if np.linalg.eigvalsh(hessian).min() <= 1e-8 * np.trace(derivatives.gauss_newton[free]):
            hessian = derivatives.gauss_newton[free]
        step = np.zeros(2)
        step[self._free] = -np.linalg.lstsq(hessian, derivatives.gradient[self._free], rcond=1e-12)[0]
        if not np.isfinite(step).all():
            raise np.linalg.LinAlgError("a step without end")
        return step

    def _line(self, point: np.ndarray, derivatives: _Derivatives) -> Line:
        """The solution, with its derivatives by the anchors' parameters from those of the equations it solves."""
        n = self._anchors.a.size
        by_a, by_b = np.zeros((n, 2)), np.zeros((n, 2))
        free = np.flatnonzero(self._free)
        inverse = np.linalg.inv(derivatives.hessian[np.ix_(free, free)])
        mixed_a, mixed_b = self._mixed(point)
        by_a[:, free] = -np.einsum("nk,kl->nl", mixed_a[:, free], inverse)
        by_b[:, free] = -np.einsum("nk,kl->nl", mixed_b[:, free], inverse)
        if not self._free[0]:
            # The slope is that of mean_mean, and the intercept depends on it.
            by_a[:, 0] = 1.0 / (n * self._anchors.a_ref.mean())
            by_a[:, 1] -= by_a[:, 0] * derivatives.hessian[0, 1] / derivatives.hessian[1, 1]
        return Line(float(point[0]), float(point[1]), by_a, by_b)

    def _derivatives(self, point: np.ndarray) -> _Derivatives:
        gap, by = self._curves_at(point, "AB", ("AA", "AB", "BB"))
        residual, total = self._compared(gap, by)
        gradient = -np.array([(_W * residual * total[k]).sum() for k in "AB"])
        gauss_newton = np.array([[(_W * total[k] * total[m]).sum() for m in "AB"] for k in "AB"])
        bend = np.array([[(_W * residual * by["".join(sorted(k + m))]).sum() for m in "AB"] for k in "AB"])
        return _Derivatives(0.5 * float((_W * residual**2).sum()), gradient, gauss_newton - bend, gauss_newton)

    def _mixed(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives of half the criterion by (A, B) and the anchors' new a, and b: (n, 2) each."""
        gap, by = self._curves_at(point, "ABab", ("Aa", "Ba", "Ab", "Bb"))
        residual, total = self._compared(gap, by)
        of_a, of_b = (
            np.column_stack([(_W * (by[x] * total[k] - residual * by[k + x])).sum(axis=0) for k in "AB"]) for x in "ab"
        )
        return of_a, of_b

    def _compared(self, gap: np.ndarray, by: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """What the criterion squares, and its derivatives by A and B.

        Stocking and Lord compare sums over items, which are the same whichever item is varied.
        """
        if self._by_item:
            return gap, by
        return gap.sum(axis=1, keepdims=True), {name: by[name].sum(axis=1, keepdims=True) for name in "AB"}

    def _curves_at(
        self, point: np.ndarray, once: str, twice: tuple[str, ...]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Gaps between the curves, and derivatives of the new curves, named in `once` and `twice`: (nodes, n) each."""
        slope, intercept = point
        a, b, c = self._anchors.a, self._anchors.b, self._anchors.c
        u = ((_NODES - intercept) / slope)[:, None]
        logistic = 1.0 / (1.0 + np.exp(-a * (u - b)))
        first = (1.0 - c) * logistic * (1.0 - logistic)
        second = first * (1.0 - 2.0 * logistic)
        gap = self._reference - (c + (1.0 - c) * logistic)
        eta = {"A": -a * u / slope, "B": -a / slope + 0.0 * u, "a": u - b, "b": -a + 0.0 * u}
        bent = {
            "AA": 2.0 * a * u / slope**2, "AB": a / slope**2, "BB": 0.0,
            "Aa": -u / slope, "Ba": -1.0 / slope, "Ab": 0.0, "Bb": 0.0,
        }  # fmt: skip
        by = {name: first * eta[name] for name in once}
        by |= {name: second * eta[name[0]] * eta[name[1]] + first * bent[name] for name in twice}
        return gap, by


@dataclass(frozen=True)
class _Derivatives:
    """Of half the criterion by (A, B): value, gradient (2,), Hessian and its Gauss-Newton part (2, 2)."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    gauss_newton: np.ndarray
