"""The result of a calibration, and the contract's form of it."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from irt_engine.answers.responses import Responses
from irt_engine.contract.settings import Settings
from irt_engine.estimation.fitting import FittedBank
from irt_engine.linking.anchoring import Anchoring
from irt_engine.scores.document import with_abilities
from irt_engine.scores.itemfit import ItemFit
from irt_engine.scores.scoring import Abilities
from irt_engine.standard_errors.estimates import ItemEstimates, LatentDistribution
from irt_engine.verdicts.holding import Verdicts
from irt_engine.version import __version__


@dataclass(frozen=True)
class Calibration:
    """A calibrated bank; items and abilities are on the reference scale where there is one.

    :ivar responses: the answers that took part; `excluded`: what did not, as the contract has it.
    :ivar items: estimates and SEs of its items; `item_fit`: their fit; `abilities` of its users.
    :ivar latent: the distribution of the (reference) population's abilities on the scale of the estimation.
    :ivar shapes: the contract's `shape` or `normality` of each population; empty if neither was asked for.
    :ivar populations: the contract's `latent.groups`, one row per group; None without groups.
    :ivar anchoring: how the scale was fixed; None if by the sample.
    :ivar weak_links: parts of the bank that few users hold together; None if not searched for.
    :ivar verdicts: what was found of single items, and which are held.
    :ivar loglik: marginal log-likelihood, without priors.
    :ivar warm: whether the estimation began at the parameters that the request gave as a start.
    :ivar max_change, max_gradient: what decided about `converged` (see `estimation.Fit`).
    :ivar timings: seconds by phase.
    """

    settings: Settings
    responses: Responses
    excluded: dict[str, Any]
    items: ItemEstimates
    item_fit: ItemFit
    abilities: Abilities
    latent: LatentDistribution
    shapes: list[dict[str, Any]]
    populations: list[dict[str, Any]] | None
    anchoring: Anchoring | None
    weak_links: list[dict[str, Any]] | None
    verdicts: Verdicts
    reliability: float
    loglik: float
    n_parameters: int
    iterations: int
    warm: bool
    converged: bool
    max_change: float
    max_gradient: float
    timings: dict[str, float]

    def ability_table(self) -> pa.Table:
        """One row per user (see `Abilities.to_arrow`)."""
        return self.abilities.to_arrow(self.responses)

    def document(self) -> dict[str, Any]:
        """The contract's response without `abilities`, ready for JSON: no NaN or infinity occurs, what does not exist
        is null."""
        return {
            "item_params": self._item_params(),
            **({"held": self._held()} if self.verdicts.are_asked_for else {}),
            "excluded": self.excluded,
            "fit_meta": {
                "run_id": self.settings.run_id,
                "model_spec": self._model_spec(),
                "metrics": self._metrics(),
            },
        }

    def to_contract(self) -> dict[str, Any]:
        """The contract's response, ready for JSON."""
        return with_abilities(self.document(), self.ability_table().to_pylist())

    def _item_params(self) -> list[dict[str, Any]]:
        answers, right = self.responses.item_counts()
        rows = []
        for j, item_id in enumerate(self.responses.item_ids):
            names = ("a", "b") if math.isnan(self.items.values[j, 2]) else ("a", "b", "c")
            rows.append(
                {
                    "item_id": item_id,
                    "model": self._model_of(item_id, "c" in names),
                    "params": dict(zip(names, self.items.values[j].tolist(), strict=False)),
                    "se": {name: _or_none(se) for name, se in zip(names, self.items.errors[j], strict=False)},
                    "n_responses": int(answers[j]),
                    "p_correct": float(right[j] / answers[j]),
                    "anchor": self.anchoring.role(item_id) if self.anchoring else None,
                    "fit": {
                        name: _or_none(getattr(self.item_fit, name)[j]) for name in ("infit", "outfit", "rmsd", "md")
                    },
                    **({"verdict": self.verdicts.published(j)} if self.verdicts.are_asked_for else {}),
                }
            )
        return rows

    def _held(self) -> list[dict[str, Any]]:
        """The held items, sorted, on the scale of the result."""
        anchoring = self.anchoring
        line = (anchoring.line or anchoring.free_line) if anchoring else None
        anchors = {anchor.item_id for anchor in self.settings.anchors if anchor.fixed}
        held = sorted(self.verdicts.held, key=lambda held: held.item_id)
        return [each.to_contract(line, each.item_id in anchors) for each in held]

    def _model_of(self, item_id: str, guesses: bool) -> str:
        """The model as it was used: an anchor keeps its guessing, and one that is held its slope as well."""
        held = self.anchoring is not None and item_id in self.anchoring.held
        if guesses:
            return "3PL"
        return "2PL" if held else self.settings.model_of(item_id)

    def _model_spec(self) -> dict[str, Any]:
        settings = self.settings
        priors = {
            name: prior.to_contract()
            for name in ("a", "b", "c")
            if (prior := getattr(settings.priors, name)) is not None and (name != "c" or self._guesses)
        }
        return {
            "model": settings.model,
            "n_items": self.responses.n_items,
            "n_users": self.responses.n_users,
            "n_observations": len(self.responses),
            "n_repeats_dropped": self.responses.n_repeats_dropped,
            "n_anchors": sum(anchor.fixed for anchor in settings.anchors),
            "linking_constants": self._linking_constants(),
            "linking_anchors": self._linking_anchors(),
            "anchor_agreement": self._anchor_agreement(),
            **({} if self.weak_links is None else {"weak_links": self.weak_links}),
            "quadrature": {
                "points": settings.quadrature_points,
                "theta_min": settings.theta_min,
                "theta_max": settings.theta_max,
            },
            "latent": {
                "mean": self.latent.mean,
                "sd": self.latent.sd,
                "se_mean": self.latent.se_mean,
                "se_sd": self.latent.se_sd,
                **self.shapes[0],
                **({} if self.populations is None else {"groups": self.populations}),
            },
            "priors": priors or None,
            "engine": {"name": "irt-engine", "version": __version__, "packages": dict(_packages())},
        }

    @property
    def _guesses(self) -> bool:
        return not bool(np.isnan(self.items.values[:, 2]).all())

    def _linking_constants(self) -> dict[str, Any] | None:
        anchoring = self.anchoring
        if anchoring is None:
            return None
        line = anchoring.line
        return {
            "slope": line.slope if line else 1.0,
            "intercept": line.intercept if line else 0.0,
            "method": anchoring.method,
            "n_anchors_used": anchoring.n_used,
        }

    def _linking_anchors(self) -> list[dict[str, Any]]:
        """One row for each anchor of the request, sorted by item, linked or not, also for those without parameters."""
        screened = _screened_anchors(self.anchoring) if self.anchoring else []
        known, calibrated = {row["item_id"] for row in screened}, set(self.responses.item_ids)
        others = [a.item_id for a in self.settings.anchors if a.fixed and a.item_id not in known]
        held = self.verdicts.held_ids
        reasons = (
            "not linked" if item_id in calibrated else "held" if item_id in held else "not among the calibrated items"
            for item_id in others
        )
        bare = [_unused_anchor(item_id, "no parameters") for item_id in self.settings.bare_anchors]
        return sorted([*screened, *map(_unused_anchor, others, reasons), *bare], key=lambda row: row["item_id"])

    def _anchor_agreement(self) -> dict[str, Any] | None:
        return None if self.anchoring is None else dataclasses.asdict(self.anchoring.agreement)

    def _metrics(self) -> dict[str, Any]:
        deviance, n = -2.0 * self.loglik, self.n_parameters
        return {
            "loglik": self.loglik,
            "n_parameters": n,
            "aic": deviance + 2.0 * n,
            "bic": deviance + n * math.log(self.responses.n_users),
            "n_iterations": self.iterations,
            "converged": self.converged,
            "max_change": _or_none(self.max_change),
            "max_gradient": _or_none(self.max_gradient),
            "marginal_reliability": self.reliability,
            **({} if self.settings.start is None else {"start": "warm" if self.warm else "cold"}),
        }


@cache
def _packages() -> dict[str, str]:
    """The versions that decide how the kernels are compiled, and with that the last digits of an estimate."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("llvmlite", "numba", "numpy")}


def population_rows(
    bank: FittedBank, distributions: Sequence[LatentDistribution], shapes: Sequence[dict[str, Any]]
) -> list[dict[str, Any]] | None:
    """The contract's `latent.groups`: one row for each group, sorted by name, on the scale of the abilities.

    :param distributions: those of the populations, on that scale, and `shapes` what is known of their shapes.
    """
    responses = bank.responses
    if responses.group_ids is None or responses.group is None:
        return None
    users = np.bincount(responses.group, minlength=len(responses.group_ids)).tolist()
    rows = []
    for g, (names, found) in enumerate(zip(bank.populations.names, distributions, strict=True)):
        for name in names:
            rows.append(
                {
                    "group": name,
                    "n_users": users[responses.group_ids.index(name)],
                    "mean": found.mean,
                    "sd": found.sd,
                    "se_mean": found.se_mean,
                    "se_sd": found.se_sd,
                    "reference": g == 0,
                    "estimated_with": [other for other in names if other != name],
                    **shapes[g],
                }
            )
    return sorted(rows, key=lambda row: str(row["group"]))


def _screened_anchors(anchoring: Anchoring) -> list[dict[str, Any]]:
    screening = anchoring.screening
    return [
        {
            "item_id": anchor.item_id,
            "used": bool(screening.kept[i]),
            "chi_square": _or_none(screening.statistic[i]),
            "p": _or_none(screening.p[i]),
            "robust_z_a": _or_none(screening.z_a[i]),
            "robust_z_b": _or_none(screening.z_b[i]),
            "influence": _influence(anchoring, i),
            "reason": screening.reasons[i],
        }
        for i, anchor in enumerate(anchoring.anchors)
    ]


def _influence(anchoring: Anchoring, i: int) -> dict[str, float | None] | None:
    if anchoring.influence is None or math.isnan(anchoring.influence[i, 0]):
        return None
    names = ("slope", "intercept", "mean_b")
    return {name: _or_none(value) for name, value in zip(names, anchoring.influence[i], strict=True)}


def _unused_anchor(item_id: str, reason: str) -> dict[str, Any]:
    unknown = dict.fromkeys(("chi_square", "p", "robust_z_a", "robust_z_b", "influence"))
    return {"item_id": item_id, "used": False, **unknown, "reason": reason}


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
