"""The group of each user, from a column that repeats it with each answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from irt_engine.answers.ids import Encoded, encode
from irt_engine.errors import InputError

GROUP = "group"


def groups_of_users(users: Encoded, column: Any, first: int = 0) -> tuple[list[str] | None, np.ndarray | None]:
    """Names of the groups, sorted, and the group (N,) int32 of each user; None and None without a column.

    :param first: number of its first row, for messages.
    :raise InputError: the column does not hold ids, misses some rows, or puts a user in two groups.
    """
    if column is None:
        return None, None
    groups = encode(GROUP, column, first)
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
        raise InputError(f"observations[{first + row}].{GROUP}", given, _in_two(users.ids[user].as_py(), known))
    return groups.ids.to_pylist(), of_user


class GroupsOfUsers:
    """The groups of the users of several batches of answers."""

    def __init__(self) -> None:
        self._batches: list[tuple[list[str], np.ndarray]] = []

    def add(self, users: Encoded, column: Any, first: int) -> None:
        """:raise InputError: as `groups_of_users`."""
        names, of_user = groups_of_users(users, column, first)
        assert names is not None and of_user is not None  # noqa: S101
        self._batches.append((names, of_user))

    def merged(self, user_ids: pa.Array, places: Sequence[np.ndarray]) -> tuple[list[str], np.ndarray]:
        """As `groups_of_users`, for all users.

        :param places: for each batch, the number of each of its users.
        :raise InputError: a user is in two groups.
        """
        names = sorted(set().union(*(names for names, _ in self._batches)))
        number = {name: g for g, name in enumerate(names)}
        group = np.full(len(user_ids), -1, np.int32)
        for (own, of_user), place in zip(self._batches, places, strict=True):
            found = np.array([number[name] for name in own], np.int32)[of_user]
            known = group[place]
            other = np.flatnonzero((known >= 0) & (known != found))
            if other.size:
                user = int(other[0])
                message = _in_two(user_ids[int(place[user])].as_py(), names[known[user]])
                raise InputError(f"observations.{GROUP}", names[found[user]], message)
            group[place] = found
        return names, group


def _in_two(user: str, group: str) -> str:
    return f"user {user!r} is in group {group!r} as well; a user belongs to one group"
