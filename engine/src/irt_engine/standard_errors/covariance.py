"""Covariance of the estimates: the inverse of the observed information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from irt_engine.kernels import linalg
from irt_engine.kernels.threads import run
from irt_engine.standard_errors.information import Information

# A parameter counts as determined if at least this share of its complete-data information is left, given the parameters
# before it. (The missing information is summed in single precision.)
LEAST_SHARE = 1e-5


class Covariance(Protocol):
    """Covariance matrix (P, P) of the free parameters.

    :ivar column: (J + G, 3) int64, row and column of each parameter, -1 where it is not estimated.
    :ivar undetermined: (P,) bool, parameters that the data do not determine; their rows and columns are 0.
    """

    @property
    def column(self) -> np.ndarray: ...

    @property
    def undetermined(self) -> np.ndarray: ...

    def blocks(self, places: np.ndarray) -> np.ndarray:
        """Covariances (J, 3, 3) of the parameters of all items, in their order; 0 where a place is -1.

        :param places: (J, 3), the columns of each item's a, d and logit c.
        """

    def times(self, vectors: np.ndarray) -> np.ndarray:
        """The matrix times `vectors` (P, k)."""

    def variance(self, place: int) -> float | None:
        """Variance of one parameter; None where `place` is -1 or the data do not determine it."""


@dataclass(frozen=True)
class DenseCovariance:
    """The whole inverse."""

    column: np.ndarray
    undetermined: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, information: Information) -> DenseCovariance:
        """Parameters that the data do not determine count as known for the others."""
        matrix = information.dense()
        n = matrix.shape[0]
        weakest = LEAST_SHARE * information.complete_diagonal
        undetermined = np.zeros(n, bool)
        for start in range(0, n, linalg.BLOCK):
            linalg.factor_block(matrix, start, weakest, undetermined)
            run(linalg.factor_below, matrix, start, work=0.5 * linalg.BLOCK * start * (n - start))
        transposed = np.empty_like(matrix)
        run(linalg.invert_factor, matrix, transposed, work=n**3 / 6)
        run(linalg.gram, transposed, matrix, work=n**3 / 6)
        return cls(information.column, undetermined, matrix)

    def blocks(self, places: np.ndarray) -> np.ndarray:
        rows, columns = places[:, :, None], places[:, None, :]
        return np.where((rows >= 0) & (columns >= 0), self.matrix[rows, columns], 0.0)

    def times(self, vectors: np.ndarray) -> np.ndarray:
        product: np.ndarray = np.einsum("pq,qk->pk", self.matrix, vectors)
        return product

    def variance(self, place: int) -> float | None:
        return None if place < 0 or self.undetermined[place] else float(self.matrix[place, place])
