"""Connected components of the graph of users and items."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.jit import kernel, part


@part
def _root(parent, item):
    while parent[item] != item:
        # Path halving keeps later searches short.
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


@kernel
def components(offsets, codes, n_items):
    """The component of each item (J,) int64, named by its smallest item. The items of a user are in one component.

    `offsets` (N + 1,), `codes` (n,): the answers by person. The time is linear in the answers.
    """
    parent = np.arange(n_items)
    for p in range(offsets.size - 1):
        for k in range(offsets[p] + 1, offsets[p + 1]):
            one, other = _root(parent, codes[k - 1] >> 1), _root(parent, codes[k] >> 1)
            if one < other:
                parent[other] = one
            else:
                parent[one] = other
    for item in range(n_items):
        parent[item] = _root(parent, item)
    return parent
