"""What a worker does with the answers of one group of persons: as the kernels do with a group on one machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from irt_engine.kernels import expectation, information, narrow, persons
from irt_engine.kernels.memory import scattered_zeros


def _whole(offsets: np.ndarray) -> np.ndarray:
    """The only group's first person, and the end."""
    return np.array([0, offsets.size - 1], np.int64)


def estep(
    offsets: np.ndarray, codes: np.ndarray, stride: int, table: np.ndarray, nodes: np.ndarray,
    log_weights: np.ndarray, rows: int, described: bool,
) -> tuple[np.ndarray, float, np.ndarray]:  # fmt: skip
    """Counts (rows, Q), log-likelihood, and persons (N, 3) if they are to be `described`; see `expectation.estep`."""
    part, counts, loglik = _sums(table, rows)
    found = np.empty((offsets.size - 1 if described else 0, 3))
    expectation.estep(
        0, 1, offsets, codes, _whole(offsets), stride, table, nodes, log_weights, part, counts, loglik, found
    )  # fmt: skip
    return counts[0], float(loglik[0]), found


def narrow_estep(
    offsets: np.ndarray, codes: np.ndarray, table: np.ndarray, nodes: np.ndarray, z: np.ndarray,
    log_weights: np.ndarray, levels: np.ndarray, steps: np.ndarray, rows: int, described: bool, windows: np.ndarray,
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:  # fmt: skip
    """As `estep`, and the windows (N, 3) as moved; see `narrow.estep`."""
    part, counts, loglik = _sums(table, rows)
    found = np.empty((offsets.size - 1 if described else 0, 3))
    members = np.arange(offsets.size - 1)
    own = windows.astype(np.int64)
    narrow.estep(
        0, 1, members, offsets, codes, _whole(offsets), table, nodes, z, log_weights, levels, steps, own, part, counts,
        loglik, found,
    )  # fmt: skip
    return counts[0], float(loglik[0]), found, own.astype(windows.dtype)


def missing_information(
    offsets: np.ndarray, codes: np.ndarray, arguments: tuple[Any, ...], windows: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """What was missing `before`, with the group's part; see `information.missing_information`.

    :param before: (P, padded P) float32; changed.
    """
    information.missing_information(0, 1, offsets, codes, windows, _whole(offsets), *arguments, before[None])
    return before


def missing_in_subspace(
    offsets: np.ndarray, codes: np.ndarray, stride: int, n_items: int, arguments: tuple[Any, ...],
    vectors: np.ndarray, windows: np.ndarray, before: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The image `before` (P, r) with the group's part, and its blocks (J, 6); see `information.missing_in_subspace`."""
    blocks = np.zeros((1, n_items, 6))
    information.missing_in_subspace(
        0, 1, offsets, codes, windows, _whole(offsets), stride, *arguments, vectors, before[None], blocks
    )  # fmt: skip
    return before, blocks[0]


def residuals(
    offsets: np.ndarray, codes: np.ndarray, slope: np.ndarray, intercept: np.ndarray, guessing: np.ndarray,
    theta: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The group's sums (J, 3); see `persons.residuals`."""
    sums = np.empty((1, slope.size, 3))
    persons.residuals(0, 1, offsets, codes, _whole(offsets), slope, intercept, guessing, theta, sums)
    found: np.ndarray = sums[0]
    return found


def modal(offsets: np.ndarray, codes: np.ndarray, *arguments: Any) -> np.ndarray:
    """Estimates and SEs (N, 2) of the group's persons; see `persons.modal`."""
    result = np.empty((offsets.size - 1, 2))
    persons.modal(0, 1, offsets, codes, *arguments, result)
    return result


def _sums(table: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = (1, rows, table.shape[1])
    return scattered_zeros(shape, table.dtype.type), np.zeros(shape), np.zeros(1)
