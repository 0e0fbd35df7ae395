"""Standard errors from the observed information (Louis, 1982: complete minus missing information)."""

from __future__ import annotations

import numpy as np

from irt_engine.estimation import Estimator, Fit, Tables
from irt_engine.kernels import expect, missing_information


def covariance(estimator: Estimator, fit: Fit) -> np.ndarray:
    """Covariance matrix of the estimates.

    :return: (2I, 2I), item j's slope at 2j and intercept at 2j + 1; with a common slope (I + 1, I + 1), the slope at 0
        and item j's intercept at j + 1. NaN throughout where the information is not positive definite.
    """
    tables = Tables.of(fit.slope, fit.intercept, estimator.nodes)
    r = estimator.responses
    answered, _, _ = expect(r.start, r.item, r.correct, tables.logp, estimator.logw)
    missing = missing_information(r.start, r.item, r.correct, tables.logp, estimator.logw, tables.prob, estimator.nodes)
    information = _complete(answered, tables.prob, estimator.nodes) - missing
    if estimator.common_slope:
        information = _collapse(information)
    try:
        np.linalg.cholesky(information)
        return np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return np.full_like(information, np.nan)


def standard_errors(estimator: Estimator, fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of slope a and difficulty b = -d / a (delta method), each (I,), on the fitted scale."""
    cov = covariance(estimator, fit)
    items = len(fit.slope)
    if estimator.common_slope:
        var_a = np.full(items, cov[0, 0])
        var_d, cov_ad = np.diag(cov)[1:], cov[0, 1:]
    else:
        var_a, var_d = np.diag(cov)[0::2], np.diag(cov)[1::2]
        cov_ad = cov[np.arange(0, 2 * items, 2), np.arange(1, 2 * items, 2)]
    if estimator.settings.model == "Rasch":
        return np.full(items, np.nan), np.sqrt(var_d)
    b = -fit.intercept / fit.slope
    return np.sqrt(var_a), np.sqrt(var_d + b**2 * var_a + 2 * b * cov_ad) / np.abs(fit.slope)


def _complete(answered: np.ndarray, prob: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    weight = answered * prob * (1 - prob)
    items = len(weight)
    total = np.zeros((2 * items, 2 * items))
    even, odd = np.arange(0, 2 * items, 2), np.arange(1, 2 * items, 2)
    total[even, even] = weight @ nodes**2
    total[odd, odd] = weight.sum(axis=1)
    total[even, odd] = total[odd, even] = weight @ nodes
    return total


def _collapse(information: np.ndarray) -> np.ndarray:
    """All slopes are one parameter: its row is the sum of theirs."""
    items = len(information) // 2
    map_ = np.zeros((2 * items, items + 1))
    map_[0::2, 0] = 1
    map_[np.arange(1, 2 * items, 2), np.arange(1, items + 1)] = 1
    return map_.T @ information @ map_
