"""Parts of a bank that few users hold together.

If only a handful of users answered items in two parts of a bank, the scales of the parts are joined only as well as
these users' abilities are known. The parts are found by cutting the bank wherever fewer than `min_common_users` users
hold it together. A maximum adjacency ordering shows which items no such cut separates; they are merged (Nagamochi &
Ibaraki 1992), and what cannot be merged is cut off. Items with fewer answers than `min_common_users` are ignored.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from irt_engine.answers.responses import Responses
from irt_engine.contract.settings import Settings
from irt_engine.kernels import attachment

log = logging.getLogger(__name__)

# At most this many parts are cut off.
_MOST_PARTS = 100
# At most this many items of a part are named.
_NAMED = 20
# Answers of the users who are looked at before all are.
_SAMPLE_ANSWERS = 1_000_000


def weak_links(responses: Responses, settings: Settings) -> list[dict[str, Any]] | None:
    """The contract's `weak_links`: all parts except the largest, sorted by size; None if the request does not ask."""
    least = settings.linking.min_common_users
    if least is None:
        return None
    part = parts(responses, least)
    found = [_described(responses, part, name) for name in range(1, int(part.max(initial=0)) + 1)]
    if found:
        log.warning(
            "%d items in %d parts have fewer than %d users in common with the others: their scale is uncertain",
            sum(each["n_items"] for each in found), len(found), least,
        )  # fmt: skip
    return sorted(found, key=lambda each: (-each["n_items"], each["item_ids"]))


def parts(responses: Responses, least: int) -> np.ndarray:
    """The part of each item (J,) int64: 0 is the largest, -1 are items with fewer than `least` answers."""
    answers, _ = responses.item_counts()
    judged = answers >= least
    label = np.where(judged, np.cumsum(judged) - 1, -1)
    # `home`: the item that each item was merged into; `final`: parts that were cut off.
    n = int(judged.sum())
    home, final = np.arange(n), np.zeros(n, bool)
    # What some of the users hold together, all of them do.
    stride = len(responses) // _SAMPLE_ANSWERS
    while stride > 1:
        closer = _merged(home, least, *_ordered(responses, label, home, final, least, stride))
        if closer is None:
            break
        home = closer
    while (n_left := int(np.unique(home[~final[home]]).size)) > 1 and final.sum() < _MOST_PARTS:
        names, order, weight = _ordered(responses, label, home, final, least)
        closer = _merged(home, least, names, order, weight) if names.size == n_left else None
        if closer is None:
            # Groups that share no user with any other are not in the ordering.
            lone = np.setdiff1d(np.unique(home[~final[home]]), names)
            final[lone if lone.size else names[order[-1]]] = True
            continue
        home = closer
    return _numbered(home, label, answers)


def _ordered(
    responses: Responses, label: np.ndarray, home: np.ndarray, final: np.ndarray, least: int, stride: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The groups (n,) that share users with others, their ordering, and its weights; from every `stride`-th user."""
    group = np.full(label.size, -1)
    judged = label >= 0
    group[judged] = np.where(final[home], -1, home)[label[judged]]
    answers = responses.offsets, responses.codes, group, stride
    starts, groups = attachment.shared_groups(*answers, attachment.group_counts(*answers))
    names, number = np.unique(groups, return_inverse=True)
    transposed = attachment.users_of_groups(starts, number, names.size)
    order, weight = attachment.attachment_order(starts, number, *transposed, least)
    return names, order, weight


def _merged(
    home: np.ndarray, least: int, names: np.ndarray, order: np.ndarray, weight: np.ndarray
) -> np.ndarray | None:
    """`home` after merging neighbours in the ordering that no cut of fewer users separates; None if there are none."""
    merged = np.flatnonzero(weight[1:] >= least) + 1
    if merged.size == 0:
        return None
    target = np.arange(home.size)
    for k in merged.tolist():
        target[names[order[k]]] = target[names[order[k - 1]]]
    closer: np.ndarray = target[home]
    return closer


def _numbered(home: np.ndarray, label: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Parts by their answers: the one with most is 0."""
    names, number = np.unique(home, return_inverse=True)
    total = np.bincount(number, answers[label >= 0], names.size)
    rank = np.empty(names.size, np.int64)
    rank[np.argsort(-total, kind="stable")] = np.arange(names.size)
    part = np.full(label.size, -1)
    part[label >= 0] = rank[number]
    return part


def _described(responses: Responses, part: np.ndarray, name: int) -> dict[str, Any]:
    own = np.flatnonzero(part == name)
    users, common = attachment.users_of_items(responses.offsets, responses.codes, part == name)
    return {
        "n_items": int(own.size),
        "n_users": users,
        "n_common_users": common,
        "item_ids": [responses.item_ids[j] for j in own[:_NAMED].tolist()],
    }
