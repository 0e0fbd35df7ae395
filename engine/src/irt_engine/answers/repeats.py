"""Repeated answers: of those that a user gave to one item, the first or the last counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from irt_engine.answers.times import NO_TIME, read_times, require_length
from irt_engine.contract.names import LAST


def kept_rows(users: np.ndarray, items: np.ndarray, responded_at: Any, policy: str) -> np.ndarray | None:
    """Which answers count where a user has several to an item.

    The first and the last are so by time; equal times go by their position, and so does a pair any of whose answers
    has no time.

    :param users, items: numbers of n answers, (n,) each.
    :param responded_at: column of n times or strings, or None.
    :param policy: `first` or `last`.
    :return: a mask (n,), or None where nothing is repeated.
    :raise InputError: naming a time of a repeated answer that cannot be read.
    """
    require_length(responded_at, users.size)
    pair = users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items
    order = np.argsort(pair, kind="stable")
    again = np.diff(pair[order], prepend=-1) == 0
    if not again.any():
        return None
    rows = np.sort(order[again | np.append(again[1:], False)])
    _, group = np.unique(pair[rows], return_inverse=True)
    reason = "since the answer is repeated and options.repeats goes by it"
    times = read_times(responded_at, rows, needed_for=reason)
    without = np.bincount(group, times == NO_TIME) > 0
    times = np.where(without[group], 0, times)
    by_time = np.lexsort((rows, times, group))
    ends = np.diff(group[by_time], append=-1) if policy == LAST else np.diff(group[by_time], prepend=-1)
    kept = np.ones(pair.size, bool)
    kept[rows] = False
    kept[rows[by_time[ends != 0]]] = True
    return kept
