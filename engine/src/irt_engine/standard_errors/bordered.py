"""Covariance where latent distributions are not normal.

For normal distributions Louis' formula gives the whole information matrix. For others it gives the block A of the
items. The blocks of mean, SD and angles, C (P, L) and D (L, L), are computed by differences of the gradient, which
takes 2 L E-steps. The inverse follows from S = D - C^T A^-1 C and U = A^-1 C: A^-1 + U S^-1 U^T for the items, -U S^-1
for the covariances with the items, and S^-1 for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.estimation.objective import Evaluation, Objective
from irt_engine.standard_errors.covariance import Covariance

# Step of the differences, and the share of the largest eigenvalue of S below which a direction is not determined.
_STEP, _LEAST = 1e-4, 1e-9


@dataclass(frozen=True)
class BorderedCovariance:
    """See the module; a `covariance.Covariance`.

    :ivar inner: A^-1; `beside` (P, L), C; `across` (P, L), U; `own` (L, L), S^-1.
    """

    column: np.ndarray
    undetermined: np.ndarray
    inner: Covariance
    beside: np.ndarray
    across: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, objective: Objective, evaluation: Evaluation, inner: Covariance) -> BorderedCovariance:
        model, n = objective.model, objective.model.n_items
        n_inner = inner.undetermined.size
        latent = np.argwhere(model.free & (np.arange(model.free.shape[0]) >= n)[:, None])
        latent = latent[~((latent[:, 0] == n) & (latent[:, 1] == 0))]
        column = inner.column.copy()
        column[tuple(latent.T)] = n_inner + np.arange(len(latent))
        beside, below = np.zeros((n_inner, len(latent))), np.zeros((len(latent), len(latent)))
        inside = (inner.column >= 0) & model.free
        for k, place in enumerate(latent):
            difference = _difference(objective, evaluation.x, tuple(place))
            beside[inner.column[inside], k] = difference[inside]
            below[:, k] = difference[tuple(latent.T)]
        across = inner.times(beside)
        schur = 0.5 * (below + below.T) - np.einsum("pk,pl->kl", beside, across)
        own, lost = _inverse(schur)
        return cls(column, np.concatenate([inner.undetermined, lost]), inner, beside, across, own)

    def blocks(self, places: np.ndarray) -> np.ndarray:
        across = np.where((places >= 0)[:, :, None], self.across[places], 0.0)
        result: np.ndarray = self.inner.blocks(places) + np.einsum("jik,kl,jml->jim", across, self.own, across)
        return result

    def times(self, vectors: np.ndarray) -> np.ndarray:
        n = self.across.shape[0]
        inside = self.inner.times(vectors[:n])
        below = self.own @ (vectors[n:] - self.beside.T @ inside)
        product: np.ndarray = np.vstack([inside - self.across @ below, below])
        return product

    def variance(self, place: int) -> float | None:
        if place < 0 or self.undetermined[place]:
            return None
        n = self.across.shape[0]
        if place >= n:
            return float(self.own[place - n, place - n])
        inner = self.inner.variance(place)
        return None if inner is None else inner + float(self.across[place] @ self.own @ self.across[place])


def _difference(objective: Objective, x: np.ndarray, place: tuple[int, ...]) -> np.ndarray:
    """Minus the derivative of the gradient (J + G + ..., 3) by one parameter."""
    gradients = []
    for sign in (-1.0, 1.0):
        moved = x.copy()
        moved[place] += sign * _STEP
        gradients.append(objective(objective.model.tied(moved)).gradient)
    slope: np.ndarray = (gradients[0] - gradients[1]) / (2.0 * _STEP)
    return slope


def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse, and which rows the matrix does not determine."""
    values, vectors = np.linalg.eigh(matrix)
    good = values > _LEAST * max(values.max(initial=0.0), 1e-300)
    inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
    lost = (vectors[:, ~good] ** 2).sum(axis=1) > 0.01
    return inverse, lost
