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
from irt_engine.kernels.attachment import attachment_order

log = logging.getLogger(__name__)

# At most this many parts are cut off.
_MOST_PARTS = 100
# At most this many items of a part are named.
_NAMED = 20


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
    lengths = np.diff(responses.offsets)
    user, group = np.repeat(np.arange(lengths.size), lengths), label[responses.codes >> 1]
    user, group = user[group >= 0], group[group >= 0]
    # `home`: the item that each item was merged into; `final`: parts that were cut off.
    n = int(judged.sum())
    home, final = np.arange(n), np.zeros(n, bool)
    while (n_left := int(np.unique(home[~final[home]]).size)) > 1 and final.sum() < _MOST_PARTS:
        names, order, weight = _ordered(user, home[group], final, least)
        merged = np.flatnonzero(weight[1:] >= least) + 1
        if merged.size == 0 or names.size < n_left:
            # Groups that share no user with any other are not in the ordering.
            lone = np.setdiff1d(np.unique(home[~final[home]]), names)
            final[lone if lone.size else names[order[-1]]] = True
            continue
        target = np.arange(n)
        for k in merged.tolist():
            target[names[order[k]]] = target[names[order[k - 1]]]
        home = target[home]
    return _numbered(home, label, answers)


def _ordered(user: np.ndarray, group: np.ndarray, final: np.ndarray, least: int) -> tuple[np.ndarray, ...]:
    """The groups (n,) that share users with others, their ordering, and its weights."""
    left = ~final[group]
    pairs = np.unique(np.stack([user[left], group[left]], axis=1), axis=0)
    counts = np.bincount(pairs[:, 0]) if len(pairs) else np.zeros(1, np.int64)
    pairs = pairs[counts[pairs[:, 0]] > 1]
    names, number = np.unique(pairs[:, 1], return_inverse=True)
    users, row = np.unique(pairs[:, 0], return_inverse=True)
    offsets = np.searchsorted(row, np.arange(users.size + 1))
    by_group = np.argsort(number, kind="stable")
    item_offsets = np.searchsorted(number[by_group], np.arange(names.size + 1))
    order, weight = attachment_order(offsets, number, item_offsets, row[by_group], least)
    return names, order, weight


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
    lengths = np.diff(responses.offsets)
    user = np.repeat(np.arange(lengths.size), lengths)
    inside = part[responses.codes >> 1] == name
    users = np.unique(user[inside])
    common = np.intersect1d(users, user[~inside])
    return {
        "n_items": int(own.size),
        "n_users": int(users.size),
        "n_common_users": int(common.size),
        "item_ids": [responses.item_ids[j] for j in own[:_NAMED].tolist()],
    }
