"""Some of the answers, in arrays that may be as large as all of them."""

from __future__ import annotations

import numpy as np

from irt_engine.answers.large import large_empty
from irt_engine.kernels import rows
from irt_engine.kernels.threads import PARTS, run

# Elementary steps per answer, roughly.
_WORK = 3.0


def count_by_item(codes: np.ndarray, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers and right answers of each item, (J,) int64 each."""
    counts = np.zeros((PARTS, n_items, 2), np.int64)
    run(rows.item_counts, codes, counts, work=_WORK * codes.size)
    answers, right = counts.sum(axis=0).T
    return np.ascontiguousarray(answers), np.ascontiguousarray(right)


def select(
    offsets: np.ndarray, codes: np.ndarray, persons: np.ndarray, new_item: np.ndarray, times: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The answers of `persons` (n,) to items with `new_item` (J,) >= 0: offsets (n + 1,), codes and times, if given.

    :param new_item: the items' new numbers, ascending; -1 for those left out.
    """
    numbers = new_item.astype(np.int32)
    answers, work = (offsets, codes, persons, numbers), _WORK * codes.size
    kept = np.zeros(persons.size + 1, np.int64)
    run(rows.lengths_of_rows, *answers, kept[1:], work=work)
    np.cumsum(kept, out=kept)
    chosen = large_empty(int(kept[-1]), np.int32)
    run(rows.select_rows, *answers, kept, chosen, work=work)
    if times is None:
        return kept, chosen, None
    moments = large_empty(chosen.size, np.int64)
    run(rows.select_times, *answers, times, kept, moments, work=work)
    return kept, chosen, moments


def answers_of(persons: np.ndarray, offsets: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (n + 1,) and codes of only these `persons` (n,) int64, ascending."""
    kept = np.concatenate([[0], np.cumsum(np.diff(offsets)[persons])]).astype(np.int64)
    chosen = large_empty(int(kept[-1]), np.int32)
    run(rows.copy_rows, offsets, codes, persons, kept, chosen, work=_WORK * chosen.size)
    return kept, chosen
