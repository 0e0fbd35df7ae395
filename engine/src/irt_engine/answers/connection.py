"""Checks whether the answers link all items: nothing compares the scales of two components that share no user.

Each component would be estimated as if its users were a sample of one population: differences between the users would
appear as differences between the items, and nothing in the result would show it. So only one component is calibrated:
with linking, the one with the most anchors, otherwise the one with the most answers. If `linking.unlinked` is
`same_population`, the users of all components are samples of one population, and all components are calibrated.
"""

from __future__ import annotations

import logging

import numpy as np

from irt_engine.answers.exclusion import Exclusion
from irt_engine.answers.responses import Responses
from irt_engine.contract.settings import Settings
from irt_engine.kernels.components import components

log = logging.getLogger(__name__)

NOT_LINKED = "not linked"


def drop_unlinked(kept: Responses, settings: Settings, exclusion: Exclusion) -> bool:
    """Exclude the items of all components but one; return whether there were any.

    :param kept: the answers left after `exclusion`.
    """
    if settings.linking.unlinked == "same_population" or not kept.n_items:
        return False
    label = components(kept.offsets, kept.codes, kept.n_items)
    names = np.unique(label)
    if names.size == 1:
        return False
    answers, _ = kept.item_counts()
    given = {anchor.item_id for anchor in settings.anchors if anchor.fixed}
    is_anchor = np.array([item in given for item in kept.item_ids]) & (settings.linking.method != "none")
    # Ties: the component with the first item, since items are sorted.
    main = max(names.tolist(), key=lambda name: (is_anchor[label == name].sum(), answers[label == name].sum(), -name))
    numbers = np.flatnonzero(exclusion.items)
    first_items = kept.codes[kept.offsets[:-1]] >> 1
    for name in names[names != main].tolist():
        own = label == name
        size = {"items": int(own.sum()), "users": int((label[first_items] == name).sum())}
        for number in numbers[own].tolist():
            exclusion.drop_item(number, NOT_LINKED, size)
    lost = label != main
    log.warning(
        "%d items, in %d components, share no user with the other %d: they are not linked, and not calibrated",
        int(lost.sum()), names.size - 1, int((~lost).sum()),
    )  # fmt: skip
    return True
