"""Maximum adjacency ordering of groups of items, where users are hyperedges (Klimmek & Wagner 1996)."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.jit import kernel


@kernel
def group_counts(offsets, codes, group, stride):
    """How many groups each user answered items of, for every `stride`-th user: (ceil(N / stride),) int64.

    :param offsets: (N + 1,), `codes` (n,): the answers by user.
    :param group: (J,) int64, the group of each item, -1 for none.
    """
    n_users = (offsets.size - 1 + stride - 1) // stride
    counts = np.zeros(n_users, np.int64)
    seen = np.full(max(group.max() + 1, 1), -1)
    for u in range(n_users):
        p = u * stride
        for k in range(offsets[p], offsets[p + 1]):
            g = group[codes[k] >> 1]
            if g >= 0 and seen[g] != u:
                seen[g] = u
                counts[u] += 1
    return counts


@kernel
def shared_groups(offsets, codes, group, stride, counts):
    """The groups of each of those users who answered items of two or more: starts (U + 1,) and groups, ascending.

    :param counts: of `group_counts`; other arguments as there.
    """
    n_shared, size = 0, 0
    for u in range(counts.size):
        if counts[u] > 1:
            n_shared += 1
            size += counts[u]
    starts, groups = np.zeros(n_shared + 1, np.int64), np.empty(size, np.int64)
    seen = np.full(max(group.max() + 1, 1), -1)
    row, at = 0, 0
    for u in range(counts.size):
        if counts[u] < 2:
            continue
        p = u * stride
        for k in range(offsets[p], offsets[p + 1]):
            g = group[codes[k] >> 1]
            if g >= 0 and seen[g] != u:
                seen[g] = u
                groups[at] = g
                at += 1
        groups[starts[row] : at].sort()
        row += 1
        starts[row] = at
    return starts, groups


@kernel
def users_of_groups(starts, groups, n_groups):
    """The transpose: starts (n_groups + 1,), and the users of each group, ascending."""
    offsets = np.zeros(n_groups + 1, np.int64)
    for k in range(groups.size):
        offsets[groups[k] + 1] += 1
    for g in range(n_groups):
        offsets[g + 1] += offsets[g]
    cursor, users = offsets[:-1].copy(), np.empty(groups.size, np.int64)
    for u in range(starts.size - 1):
        for k in range(starts[u], starts[u + 1]):
            users[cursor[groups[k]]] = u
            cursor[groups[k]] += 1
    return offsets, users


@kernel
def users_of_items(offsets, codes, inside):
    """How many users answered items that are `inside` (J,) bool, and how many of these answered others as well."""
    users, common = 0, 0
    for p in range(offsets.size - 1):
        own, other = False, False
        for k in range(offsets[p], offsets[p + 1]):
            if inside[codes[k] >> 1]:
                own = True
            else:
                other = True
        users += own
        common += own and other
    return users, common


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
