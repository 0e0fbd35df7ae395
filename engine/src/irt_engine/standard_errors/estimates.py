"""Estimates of a bank with their standard errors, on the bank's own scale or, by a line, on that of the anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.model.line import Line
from irt_engine.model.parameters import COMMON_SLOPE, LATENT_MEAN, LOG_LATENT_SD, Model
from irt_engine.standard_errors.covariance import Covariance

_NEGLIGIBLE_GUESSING = 1e-9


@dataclass(frozen=True)
class ItemEstimates:
    """a, b and c of J items and their standard errors, (J, 3) each; NaN for a missing c or SE."""

    values: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class LatentDistribution:
    """Mean and SD of the abilities of a population; SEs are None where fixed."""

    mean: float
    sd: float
    se_mean: float | None
    se_sd: float | None


def latent_distributions(model: Model, x: np.ndarray, covariance: Covariance) -> list[LatentDistribution]:
    """The distributions of all populations, on the scale of the estimation."""
    found = []
    for g, (mean, sd) in enumerate(model.latents(x)):
        place = covariance.column[model.n_items + g]
        of_mean, of_log_sd = (covariance.variance(int(place[k])) for k in (LATENT_MEAN, LOG_LATENT_SD))
        se_sd = None if of_log_sd is None else sd * of_log_sd**0.5
        found.append(LatentDistribution(mean, sd, None if of_mean is None else of_mean**0.5, se_sd))
    return found


def linked_distributions(
    model: Model, x: np.ndarray, covariance: Covariance, line: Line, anchors: np.ndarray
) -> list[LatentDistribution]:
    """The distributions of all populations, moved by `line`; its sampling error is part of the SEs (delta method).

    :param anchors: (n,), items that the line was estimated from.
    """
    values = abc(model, x)
    place = _places(model, covariance)
    products, v = _by_line(line, anchors, covariance, place, _jacobian(model, values))
    found = []
    for g, (mean, sd) in enumerate(model.latents(x)):
        own = covariance.column[model.n_items + g]
        with_mean, with_log_sd = products[own[LATENT_MEAN]], products[own[LOG_LATENT_SD]]
        of_mean, of_log_sd = (_variance(covariance, int(own[k])) for k in (LATENT_MEAN, LOG_LATENT_SD))
        a, b = line.slope, line.intercept
        variance = a**2 * of_mean + mean**2 * v[0, 0] + 2.0 * mean * v[0, 1] + v[1, 1]
        variance += 2.0 * a * (mean * with_mean[0] + with_mean[1])
        of_sd = sd**2 * (a**2 * of_log_sd + v[0, 0] + 2.0 * a * with_log_sd[0])
        found.append(LatentDistribution(a * mean + b, a * sd, _root(variance), _root(of_sd)))
    return found


def _variance(covariance: Covariance, place: int) -> float:
    """Variance of a parameter: 0 if it is fixed, NaN if the data do not determine it."""
    found = 0.0 if place < 0 else covariance.variance(place)
    return np.nan if found is None else found


def _root(variance: float) -> float | None:
    return None if np.isnan(variance) else max(variance, 0.0) ** 0.5


def abc(model: Model, x: np.ndarray) -> np.ndarray:
    """a, b and c of the items at `x`, (J, 3); c is NaN without guessing."""
    slope, intercept, guessing = model.items(x)
    # Items held at c = 0 have a c close to it, because 0 has no logit.
    guessing = np.where(guessing < _NEGLIGIBLE_GUESSING, 0.0, guessing)
    return np.column_stack([slope, -intercept / slope, np.where(model.guesses, guessing, np.nan)])


def estimates(
    model: Model, x: np.ndarray, covariance: Covariance, line: Line | None = None, anchors: np.ndarray | None = None
) -> ItemEstimates:
    """The estimates at `x`, moved by `line` if given, with standard errors by the delta method.

    :param line: linking constants, estimated from the items `anchors` (n,); their sampling error is part of the SEs;
        the anchors' reference parameters count as known.
    """
    values = abc(model, x)
    place = _places(model, covariance)
    jacobian = _jacobian(model, values)
    blocks = np.einsum("jik,jkl,jml->jim", jacobian, covariance.blocks(place), jacobian)
    variance = np.einsum("jii->ji", blocks).copy()
    if line is not None and anchors is not None:
        variance = _linked_variance(values, blocks, line, anchors, covariance, place, jacobian)
        values = values.copy()
        values[:, 0] /= line.slope
        values[:, 1] = line.slope * values[:, 1] + line.intercept
    return ItemEstimates(values, _errors(model, variance, place, covariance))


def slope_and_intercept(model: Model, covariance: Covariance, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariances (n, 2, 2) of a and d of the items `rows` (n,), and whether each has an estimated slope, (n,) bool.

    NaN where the data do not determine them; 0 where a is not estimated.
    """
    places = _places(model, covariance)
    matrices, place = covariance.blocks(places)[rows, :2, :2], places[rows]
    lost = (place[:, :2] >= 0) & covariance.undetermined[place[:, :2]]
    matrices[lost.any(axis=1)] = np.nan
    return matrices, model.free[rows, 0]


def _places(model: Model, covariance: Covariance) -> np.ndarray:
    """Columns of each item's a, d and logit c in the covariance matrix, (J, 3)."""
    place: np.ndarray = covariance.column[: model.n_items].copy()
    place[model.common, 0] = covariance.column[model.n_items, COMMON_SLOPE]
    return place


def _jacobian(model: Model, values: np.ndarray) -> np.ndarray:
    """Derivatives of a, b, c by a, d, logit c: (J, 3, 3)."""
    a, b, c = values.T
    jacobian = np.zeros((a.size, 3, 3))
    jacobian[:, 0, 0] = 1.0
    jacobian[:, 1, 0] = -b / a
    jacobian[:, 1, 1] = -1.0 / a
    jacobian[:, 2, 2] = np.where(model.guesses, c * (1.0 - c), 0.0)
    return jacobian


def _linked_variance(
    values: np.ndarray, blocks: np.ndarray, line: Line, anchors: np.ndarray,
    covariance: Covariance, place: np.ndarray, jacobian: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Variances (J, 3) of a / A, A b + B and c, where A and B are functions of the anchors' estimates."""
    a, b = values[:, 0], values[:, 1]
    products, v = _by_line(line, anchors, covariance, place, jacobian)
    own = np.einsum("jik,jkl->jil", jacobian, products[place])
    slope = line.slope
    variance: np.ndarray = np.einsum("jii->ji", blocks).copy()
    variance[:, 0] = variance[:, 0] / slope**2 - 2.0 * a / slope**3 * own[:, 0, 0] + a**2 / slope**4 * v[0, 0]
    variance[:, 1] = (
        slope**2 * variance[:, 1] + b**2 * v[0, 0] + 2.0 * b * v[0, 1] + v[1, 1]
        + 2.0 * slope * (b * own[:, 1, 0] + own[:, 1, 1])
    )  # fmt: skip
    return variance


def _by_line(
    line: Line, anchors: np.ndarray, covariance: Covariance, place: np.ndarray, jacobian: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How the linking constants vary with the P free parameters.

    :return: their covariances (P + 1, 2) with the parameters, the last row 0 for what has place -1, and with each other
        (2, 2).
    """
    weights = np.zeros((covariance.undetermined.size + 1, 2))
    by = np.stack([line.by_a, line.by_b], axis=1)
    by_parameters = np.einsum("nik,nil->nkl", jacobian[anchors][:, :2, :2], by)
    for k in range(2):
        # Parameters that are not estimated have place -1, the last row, which is cut off.
        np.add.at(weights, place[anchors, k], by_parameters[:, k])
    weights = weights[:-1]
    products = np.vstack([covariance.times(weights), np.zeros((1, 2))])
    return products, np.einsum("pk,pl->kl", weights, products[:-1])


def _errors(model: Model, variance: np.ndarray, place: np.ndarray, covariance: Covariance) -> np.ndarray:
    determined = (place >= 0) & ~covariance.undetermined[place]
    # b depends on a, so its variance is known only if that of a is, or if a is given.
    slope_given = place[:, 0] < 0
    determined[:, 1] &= slope_given | determined[:, 0]
    return np.where(determined & (variance >= 0.0), np.sqrt(np.maximum(variance, 0.0)), np.nan)
