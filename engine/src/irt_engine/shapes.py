"""The contract's fields for the shape of latent distributions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from irt_engine.estimation.fitting import FittedBank
from irt_engine.model.shape import Davidian, Shaped
from irt_engine.standard_errors.estimates import LatentDistribution
from irt_engine.standard_errors.normality import Normality


def shapes_of(
    bank: FittedBank, distributions: Sequence[LatentDistribution], tests: Sequence[Normality | None] | None
) -> list[dict[str, Any]]:
    """For each population: `shape`, the test of `normality`, or neither.

    :param distributions: mean and SD on the scale of the result.
    """
    if tests is not None:
        return [{"normality": dataclasses.asdict(test) | {"df": 2}} if test else {} for test in tests]
    if bank.shaped is None or (not bank.shaped.criteria and not bank.model.is_shaped):
        return [{} for _ in distributions]
    return [{"shape": _shape(bank, g, each)} for g, each in enumerate(distributions)]


def _shape(bank: FittedBank, g: int, distribution: LatentDistribution) -> dict[str, Any]:
    """Kind, skewness, excess kurtosis, and the weights of the nodes; a Davidian curve of degree 0 is normal."""
    quadrature = bank.fit.objective.quadrature
    shape = bank.model.shape(bank.fit.evaluation.x, g) or Davidian(np.empty(0))
    shaped = Shaped.on(shape, quadrature)
    location, scale = shaped.placed(distribution.mean, distribution.sd)
    n = quadrature.points
    skewness, kurtosis = shaped.moments(quadrature)
    criteria = bank.shaped.criteria if bank.shaped else {}
    known: dict[str, Any] = {"kind": "histogram"}
    if isinstance(shape, Davidian):
        by_degree = {str(degree): value for degree, value in criteria.items()}
        known = {"kind": "davidian", "degree": shape.angles.size, "hannan_quinn": by_degree}
    return known | {
        "skewness": skewness,
        "kurtosis": kurtosis,
        "nodes": (location + scale * quadrature.nodes[:n]).tolist(),
        "weights": np.exp(shaped.log_weights[:n]).tolist(),
    }
