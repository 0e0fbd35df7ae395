"""One calibration from responses to result: exclusion, estimation, standard errors, scores, linking."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from irt_engine.errors import CalibrationError
from irt_engine.estimation import Estimator, Fit, Progress
from irt_engine.exclusion import Exclusion, exclude
from irt_engine.information import standard_errors
from irt_engine.linking import linking_constants
from irt_engine.responses import Responses
from irt_engine.scoring import abilities, eap_scores
from irt_engine.settings import Anchor, Settings
from irt_engine.version import __version__


@dataclass(frozen=True)
class Calibration:
    """The result, on the reference scale where there is one.

    Arrays by item (I,) or person (P,): a, b, se_a, se_b; theta, se. `slope` and `intercept` are the linking constants,
    None where nothing was linked.
    """

    settings: Settings
    responses: Responses
    exclusion: Exclusion
    fit: Fit
    a: np.ndarray
    b: np.ndarray
    se_a: np.ndarray
    se_b: np.ndarray
    theta: np.ndarray
    se: np.ndarray
    latent_sd: float
    reliability: float
    anchors: tuple[Anchor, ...]
    slope: float | None
    intercept: float | None
    timings: dict[str, float]

    def to_contract(self) -> dict[str, Any]:
        """The contract's response. The same input gives the same bytes; timings are not part of it."""
        return {
            "item_params": self._items(),
            "abilities": abilities(self.responses, self.theta, self.se),
            "excluded": self.exclusion.to_contract(),
            "fit_meta": {
                "run_id": self.settings.run_id,
                "model_spec": self._model_spec(),
                "metrics": self._metrics(),
            },
        }

    def _items(self) -> list[dict[str, Any]]:
        r = self.responses
        counts = np.bincount(r.item, minlength=len(r.item_ids))
        right = np.bincount(r.item, weights=r.correct, minlength=len(r.item_ids))
        anchors = {anchor.item_id for anchor in self.anchors}
        return [
            {
                "item_id": item,
                "model": self.settings.model,
                "params": {"a": float(self.a[j]), "b": float(self.b[j])},
                "se": {"a": _or_none(self.se_a[j]), "b": _or_none(self.se_b[j])},
                "n_responses": int(counts[j]),
                "p_correct": float(right[j] / counts[j]),
                "anchor": "used" if item in anchors and self.slope is not None else None,
                "fit": None,
            }
            for j, item in enumerate(r.item_ids)
        ]

    def _model_spec(self) -> dict[str, Any]:
        s = self.settings
        linking = {
            "slope": self.slope,
            "intercept": self.intercept,
            "method": s.linking.method,
            "n_anchors_used": len(self.anchors),
            "anchors": [{"item_id": anchor.item_id, "used": True} for anchor in self.anchors],
        }
        return {
            "model": s.model,
            "n_items": len(self.responses.item_ids),
            "n_users": len(self.responses.user_ids),
            "n_observations": len(self.responses),
            "n_anchors": sum(anchor.fixed for anchor in s.anchors),
            "linking_constants": None if self.slope is None else linking,
            "quadrature": {"points": s.quadrature_points, "theta_min": s.theta_min, "theta_max": s.theta_max},
            "latent": {"mean": 0.0, "sd": self.latent_sd},
            "priors": None,
            "engine": {"name": "irt-engine", "version": __version__},
        }

    def _metrics(self) -> dict[str, Any]:
        items = len(self.a)
        free = items + 1 if self.settings.model in {"Rasch", "1PL"} else 2 * items
        deviance = -2 * self.fit.loglik
        return {
            "loglik": self.fit.loglik,
            "n_parameters": free,
            "aic": deviance + 2 * free,
            "bic": deviance + math.log(len(self.responses.user_ids)) * free,
            "n_iterations": self.fit.iterations,
            "converged": self.fit.converged,
            "max_change": self.fit.max_change,
            "max_gradient": self.fit.max_gradient,
            "marginal_reliability": self.reliability,
        }


def calibrate(responses: Responses, settings: Settings, progress: Progress | None = None) -> Calibration:
    """Calibrate a bank.

    :param progress: called after each step of EM with its number, the log-likelihood and the largest change.
    :raise CalibrationError: nothing is left to calibrate, or too few anchors to link by.
    """
    clock = _Clock()
    kept, exclusion = exclude(responses, settings)
    anchors = _usable_anchors(settings, kept)
    estimator = Estimator(kept, settings)
    clock.lap("prepare")
    fit = estimator.run(progress)
    clock.lap("estimate")
    se_a, se_b = standard_errors(estimator, fit)
    clock.lap("standard_errors")
    theta, se = eap_scores(kept, fit.slope, fit.intercept, settings)
    # Share of the latent variance that the scores recover (Green et al., 1984).
    reliability = float(1 - np.mean(se**2))
    clock.lap("score")
    own = _own_scale(settings, fit, theta, se)
    slope, intercept = _link(settings, anchors, kept, own)
    own = own if slope is None else own.moved(slope, intercept)
    scale = 1.0 if slope is None else slope
    clock.lap("link")
    return Calibration(
        settings, kept, exclusion, fit, own.a, own.b, se_a / scale, se_b * scale, own.theta, own.se,
        float(fit.slope[0]) if settings.model == "Rasch" else 1.0, reliability, anchors, slope, intercept, clock.laps,
    )  # fmt: skip


def warm_up() -> None:
    """Compile all kernels into numba's cache, by two tiny calibrations."""
    users = [f"u{i}" for i in range(8) for _ in range(3)]
    items = ["a", "b", "c"] * 8
    answers = [(i >> j) & 1 for i in range(8) for j in range(3)]
    for model in ("2PL", "Rasch"):
        calibrate(Responses.from_columns(users, items, answers), Settings(model=model, max_iterations=4))


@dataclass(frozen=True)
class _Scale:
    a: np.ndarray
    b: np.ndarray
    theta: np.ndarray
    se: np.ndarray

    def moved(self, slope: float, intercept: float) -> _Scale:
        return _Scale(self.a / slope, slope * self.b + intercept, slope * self.theta + intercept, slope * self.se)


def _own_scale(settings: Settings, fit: Fit, theta: np.ndarray, se: np.ndarray) -> _Scale:
    """The scale of the model: with Rasch the slope is 1 and abilities are in logits, else abilities have variance 1."""
    if settings.model == "Rasch":
        sd = float(fit.slope[0])
        return _Scale(np.ones_like(fit.slope), -fit.intercept, sd * theta, sd * se)
    return _Scale(fit.slope, -fit.intercept / fit.slope, theta, se)


def _usable_anchors(settings: Settings, kept: Responses) -> tuple[Anchor, ...]:
    """:raise CalibrationError: fewer than the minimum, said before any work is done."""
    present = set(kept.item_ids.tolist())
    anchors = tuple(a for a in settings.anchors if a.fixed and a.item_id in present)
    linking = settings.linking
    if linking.method != "none" and len(anchors) < linking.min_anchors:
        raise CalibrationError(
            f"{len(anchors)} anchors have usable answers, linking.min_anchors is {linking.min_anchors}"
        )
    return anchors if linking.method != "none" else ()


def _link(settings: Settings, anchors: tuple[Anchor, ...], kept: Responses, own: _Scale) -> tuple[Any, Any]:
    if not anchors:
        return None, None
    at = {item: j for j, item in enumerate(kept.item_ids)}
    rows = [at[anchor.item_id] for anchor in anchors]
    a_ref = np.array([anchor.a for anchor in anchors])
    b_ref = np.array([anchor.b for anchor in anchors])
    slope, intercept = linking_constants(settings.linking.method, a_ref, b_ref, own.a[rows], own.b[rows])
    if not (math.isfinite(slope) and slope > 0 and math.isfinite(intercept)):
        raise CalibrationError(f"linking by {len(anchors)} anchors gave slope {slope} and intercept {intercept}")
    return slope, intercept


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
