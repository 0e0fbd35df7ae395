"""Maximum adjacency ordering of items, where users are hyperedges (Klimmek & Wagner 1996)."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.jit import kernel


@kernel
def attachment_order(offsets, items, item_offsets, item_users, most):
    """Order the items so that each one shares the most users with the items before it.

    Every cut that separates an item from the one before it cuts at least `weight` users. The time is linear in the
    answers.

    :param offsets: (N + 1,), `items` (n,): the items of each user; `item_offsets` (J + 1,), `item_users` (n,): the
        users of each item.
    :param most: weights are counted up to this number.
    :return: the order (J,) int64, and the weight at each position (J,).
    """
    n_items = item_offsets.size - 1
    order, weight = np.empty(n_items, np.int64), np.zeros(n_items, np.int64)
    shared, done = np.zeros(n_items, np.int64), np.zeros(n_items, np.bool_)
    reached = np.zeros(offsets.size - 1, np.bool_)
    # Stacks of items by the number of shared users; outdated entries are skipped.
    top = np.full(most + 1, -1)
    item_of, below = np.empty(n_items * (most + 1), np.int64), np.empty(n_items * (most + 1), np.int64)
    used = 0
    for item in range(n_items - 1, -1, -1):
        item_of[used], below[used], top[0] = item, top[0], used
        used += 1
    highest = 0
    for place in range(n_items):
        item = -1
        while item < 0:
            while top[highest] < 0:
                highest -= 1
            entry = top[highest]
            top[highest] = below[entry]
            if not done[item_of[entry]] and shared[item_of[entry]] == highest:
                item = item_of[entry]
        order[place], weight[place], done[item] = item, shared[item], True
        for k in range(item_offsets[item], item_offsets[item + 1]):
            user = item_users[k]
            if reached[user]:
                continue
            reached[user] = True
            for i in range(offsets[user], offsets[user + 1]):
                other = items[i]
                if not done[other] and shared[other] < most:
                    shared[other] += 1
                    item_of[used], below[used], top[shared[other]] = other, top[shared[other]], used
                    used += 1
                    highest = max(highest, shared[other])
    return order, weight
