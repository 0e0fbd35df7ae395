"""Maximum adjacency ordering of items, where users are hyperedges (Klimmek & Wagner 1996)."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.jit import kernel


@kernel
def attachment_order(offsets, items, item_offsets, item_users, most):
    """Order the items so that each next one shares most users with those before.

    Each item and the one before it in the order are held together by at least as many users as `weight` says: no cut
    between them has fewer. The time grows with the answers.

    :param offsets: (N + 1,), `items` (n,): the items of each user; `item_offsets` (J + 1,), `item_users` (n,): the
        users of each item.
    :param most: where more users than this are shared does not matter.
    :return: the order (J,) int64, and for each place in it the number of users (J,), at most `most`.
    """
    n_items = item_offsets.size - 1
    order, weight = np.empty(n_items, np.int64), np.zeros(n_items, np.int64)
    shared, done = np.zeros(n_items, np.int64), np.zeros(n_items, np.bool_)
    reached = np.zeros(offsets.size - 1, np.bool_)
    # Stacks of items by the number of users that they share; what is out of date in them is skipped.
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
