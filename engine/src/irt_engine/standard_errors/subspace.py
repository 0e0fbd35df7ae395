"""Covariance of the estimates of large banks, without the whole matrix.

Items depend on each other only through the abilities of those who answered both. In a large bank, this dependence is
negligible for any two items, but not along directions that many items share: the origin and unit of the ability scale
and a few more. So the inverse of the information I is built from the blocks B of single items, which are exact, and a
subspace S that holds the shared directions:

    I^-1 ~ (1 - S F Y^T) B^-1 (1 - Y F S^T) + S F S^T,    Y = I S,  F = (S^T I S)^-1,

which is positive definite, and exact if S holds everything that joins the items (the balancing preconditioner of Mandel
1993). S is found by block power iteration (Halko, Martinsson & Tropp 2011) on a sample of the persons; B and I S are
then computed from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.kernels import items
from irt_engine.standard_errors.covariance import LEAST_SHARE, Covariance, DenseCovariance
from irt_engine.standard_errors.information import Information

_RANDOM_DIRECTIONS, _PROBES = 12, 4
# The power iteration uses at least this many persons.
_SAMPLE = 4000
# Variances may be too small by this share on average, and SEs by half of it.
_MOST_LEFT_OVER = 0.02

# At most `_ALWAYS_DENSE` parameters: invert the whole matrix. Up to `_NEVER_DENSE`: also if persons answer at least
# `_DENSE_SHARE` of the items, because then many directions join them.
_ALWAYS_DENSE, _DENSE_SHARE, _NEVER_DENSE = 1500, 0.2, 8000


def invert(information: Information) -> Covariance:
    """The inverse of the observed information: exact for banks up to 1,500 parameters or with dense answers.

    For others SEs are within 1 % of those of the whole inverse.
    """
    share = information.n_answers / (information.n_persons * information.model.n_items)
    if information.size <= _ALWAYS_DENSE or (share >= _DENSE_SHARE and information.size <= _NEVER_DENSE):
        return DenseCovariance.of(information)
    return SubspaceCovariance.of(information) or DenseCovariance.of(information)


@dataclass(frozen=True)
class SubspaceCovariance:
    """See the module; a `covariance.Covariance`.

    :ivar local: (J, 3, 3), B^-1 of the items' own parameters; `shared` (P,), the same of those of no item.
    :ivar basis: (P, r), S; `image` (P, r), Y; `core` (r, r), F.
    """

    column: np.ndarray
    undetermined: np.ndarray
    local: np.ndarray
    shared: np.ndarray
    basis: np.ndarray
    image: np.ndarray
    core: np.ndarray

    @classmethod
    def of(cls, information: Information) -> SubspaceCovariance | None:
        """None if the subspace does not hold everything that joins the items."""
        basis, sampled_blocks = _joining_directions(information)
        vectors = np.concatenate([basis, _probes(information, sampled_blocks)], axis=1)
        missing, missing_blocks = information.missing_times(vectors)
        complete = information.complete_times(vectors)
        local, lost = _inverse_blocks(information, missing_blocks)
        # The part of the information that joins items, times the vectors.
        joined = missing - information.blocks_times(missing_blocks, vectors)
        if _left_over(information, local, vectors, complete - missing + joined, joined) > _MOST_LEFT_OVER:
            return None
        r = basis.shape[1]
        basis, image = vectors[:, :r], (complete - missing)[:, :r]
        undetermined = np.zeros(information.size, bool)
        undetermined[information.own[lost]] = True
        basis[undetermined], image[undetermined] = 0.0, 0.0
        core = np.linalg.inv(np.einsum("pr,ps->rs", basis, image))
        return cls(
            information.column, undetermined, local, _inverse_shared(information), basis, image, 0.5 * (core + core.T)
        )

    def blocks(self, places: np.ndarray) -> np.ndarray:
        weighted = self._local(self.image)
        turned = np.einsum("pr,rs->ps", weighted, self.core)
        middle = self.core + np.einsum("rs,st->rt", self.core, np.einsum("ps,pt->st", self.image, turned))
        left = np.einsum("pr,rs->ps", self.basis, middle) - turned
        basis = self._at(self.basis, places)
        result: np.ndarray = np.einsum("jir,jmr->jim", self._at(left, places), basis)
        result -= np.einsum("jir,jmr->jim", basis, self._at(turned, places))
        own = places == self._own
        result += np.where(own[:, :, None] & own[:, None, :], self.local, 0.0)
        tied = ~own[:, 0]
        result[tied, 0, 0] += self.shared[places[tied, 0]]
        return result

    def times(self, vectors: np.ndarray) -> np.ndarray:
        along = np.einsum("rs,sk->rk", self.core, np.einsum("pr,pk->rk", self.basis, vectors))
        rest = self._local(vectors - np.einsum("pr,rk->pk", self.image, along))
        back = np.einsum("rs,sk->rk", self.core, np.einsum("pr,pk->rk", self.image, rest))
        product: np.ndarray = rest + np.einsum("pr,rk->pk", self.basis, along - back)
        return product

    def variance(self, place: int) -> float | None:
        if place < 0 or self.undetermined[place]:
            return None
        unit = np.zeros((self.shared.size, 1))
        unit[place] = 1.0
        return float(self.times(unit)[place, 0])

    @property
    def _own(self) -> np.ndarray:
        return self.column[: self.local.shape[0]]

    def _local(self, vectors: np.ndarray) -> np.ndarray:
        """B^-1 times `vectors` (P, k)."""
        places = self._own
        product = np.einsum("jim,jmk->jik", self.local, self._at(vectors, places))
        result: np.ndarray = self.shared[:, None] * vectors
        result[places[places >= 0]] = product[places >= 0]
        return result

    def _at(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """The rows at `places` (J, 3), 0 where that is -1: (J, 3, k)."""
        return np.where((places >= 0)[:, :, None], rows[places], 0.0)


def _inverse_blocks(information: Information, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses (J, 3, 3) of the items' blocks, given what is `missing` (J, 6), and the parameters not determined."""
    blocks = information.complete - missing
    n, free = blocks.shape[0], information.own >= 0
    inverse = np.empty((n, 3, 3))
    for parameter in range(3):
        unit = np.zeros((n, 3))
        unit[:, parameter] = 1.0
        solution = np.empty((n, 3))
        items.solve_items(blocks, free, unit, solution)
        inverse[:, :, parameter] = np.where(free[:, [parameter]], solution, 0.0)
    diagonal = np.einsum("jii->ji", inverse)
    complete = information.complete_diagonal[information.own]
    lost = free & ~((diagonal > 0.0) & (diagonal * complete < 1.0 / LEAST_SHARE))
    inverse[lost] = 0.0
    inverse.transpose(0, 2, 1)[lost] = 0.0
    return inverse, lost


def _inverse_shared(information: Information) -> np.ndarray:
    """Any positive numbers would do, since the basis holds these parameters' own directions."""
    result = np.zeros(information.size)
    for place, value in information.shared_complete:
        result[place] = 1.0 / value
    return result


def _joining_directions(information: Information) -> tuple[np.ndarray, np.ndarray]:
    """S (P, r), and the blocks (J, 6) of single items in the missing information of the sample.

    S comes from a power iteration that starts from directions known to join items, and random ones. It iterates with
    the part of the missing information that joins different items, in the metric of the complete information: its
    eigenvalues are the shares of information that the items owe each other.
    """
    stride = max(1, information.n_persons // _SAMPLE)
    shared = np.zeros((information.size, len(information.shared_complete)))
    for k, (place, _) in enumerate(information.shared_complete):
        shared[place, k] = 1.0
    scale = 1.0 / np.sqrt(information.complete_diagonal)[:, None]
    coupled = scale * information.complete_times(scale * shared)
    known = np.concatenate([shared, coupled, information.scale_directions() / scale], axis=1)
    basis = np.concatenate([known, _random(information.size, _RANDOM_DIRECTIONS)], axis=1)
    # Parameters that belong to no item join all others more closely than a sample can show.
    for taken in (stride, 1 if shared.size else stride):
        basis = scale * _orthonormal(basis)
        image, blocks = information.missing_times(basis, taken)
        basis = scale * (image - information.blocks_times(blocks, basis))
    return scale * _orthonormal(np.concatenate([known, basis], axis=1)), blocks


def _probes(information: Information, missing: np.ndarray) -> np.ndarray:
    """Random vectors (P, k) with about the variances that the items' blocks give."""
    inverse, _ = _inverse_blocks(information, missing)
    places = information.own
    spread = np.zeros(information.size)
    spread[places[places >= 0]] = np.sqrt(np.maximum(np.einsum("jii->ji", inverse), 0.0))[places >= 0]
    probes: np.ndarray = spread[:, None] * _random(information.size, _PROBES)
    return probes


def _left_over(
    information: Information, inverse: np.ndarray, vectors: np.ndarray, local: np.ndarray, joined: np.ndarray
) -> float:
    """Share by which variances are too small on average, because of what joins items outside the subspace.

    With R the rest of the information that joins items, the variances lack the diagonal of B^-1 R B^-1 R B^-1. It is
    estimated as that of (B^-1 R z)^2 for random probes z with the variances of B^-1 (Hutchinson 1990).

    :param inverse: (J, 3, 3), B^-1.
    :param vectors: (P, r + k), S and the probes; `local` and `joined`: I's parts within and between items times these.
    """
    r = vectors.shape[1] - _PROBES
    basis, probes = vectors[:, :r], vectors[:, r:]
    core = np.linalg.inv(np.einsum("pr,ps->rs", basis, local[:, :r]))
    along = np.einsum("rs,sk->rk", core, np.einsum("pr,pk->rk", local[:, :r], probes))
    rest = joined[:, r:] - np.einsum("pr,rk->pk", joined[:, :r], along)
    back = np.einsum("rs,sk->rk", core, np.einsum("pr,pk->rk", basis, rest))
    rest -= np.einsum("pr,rk->pk", local[:, :r], back)
    free = information.own >= 0
    rest = np.where(free[:, :, None], rest[information.own], 0.0)
    change = np.einsum("jim,jmk->jik", inverse, rest)
    variance = np.einsum("jii->ji", inverse)
    known = free & (variance > 0.0)
    return float((change[known] ** 2 / variance[known][:, None]).mean())


def _random(size: int, n: int) -> np.ndarray:
    return np.random.default_rng(20100905).choice([-1.0, 1.0], size=(size, n))


def _orthonormal(vectors: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the columns by Gram-Schmidt, twice over; columns that depend on earlier ones are dropped."""
    found: list[np.ndarray] = []
    for vector in vectors.T:
        length = np.sqrt((vector**2).sum())
        rest = vector.copy()
        for _ in range(2):
            for other in found:
                rest -= (other * rest).sum() * other
        norm = np.sqrt((rest**2).sum())
        if norm > 1e-8 * max(length, 1e-300):
            found.append(rest / norm)
    return np.stack(found, axis=1) if found else np.zeros((vectors.shape[0], 0))
