"""The group of each user, from a column that repeats it with each answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from irt_engine.answers.ids import Encoded, encode
from irt_engine.errors import InputError

GROUP = "group"


def groups_of_users(users: Encoded, column: Any) -> tuple[list[str] | None, np.ndarray | None]:
    """Names of the groups, sorted, and the group (N,) int32 of each user; None and None without a column.

    :raise InputError: the column does not hold ids, misses some rows, or puts a user in two groups.
    """
    if column is None:
        return None, None
    groups = encode(GROUP, column)
    if groups.codes.size != users.codes.size:
        message = f"must have {users.codes.size} entries, one for each answer"
        raise InputError(f"observations.{GROUP}", groups.codes.size, message)
    of_user = np.zeros(len(users.ids), np.int32)
    of_user[users.codes] = groups.codes
    other = np.flatnonzero(of_user[users.codes] != groups.codes)
    if other.size:
        row = int(other[0])
        user = int(users.codes[row])
        known = groups.ids[int(of_user[user])].as_py()
        given = groups.ids[int(groups.codes[row])].as_py()
        message = f"user {users.ids[user].as_py()!r} is in group {known!r} as well; a user belongs to one group"
        raise InputError(f"observations[{row}].{GROUP}", given, message)
    return groups.ids.to_pylist(), of_user
