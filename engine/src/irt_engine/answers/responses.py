"""Responses as a sparse structure: for each person the items answered and whether right, one entry per answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from irt_engine.answers.columns import COLUMNS, columns_read, read_right, require_columns
from irt_engine.answers.groups import GROUP, groups_of_users
from irt_engine.answers.ids import encode, take
from irt_engine.answers.locations import open_all
from irt_engine.answers.repeats import kept_rows
from irt_engine.answers.selection import count_by_item, select
from irt_engine.answers.shards import Rows, common_columns, read_rows, read_whole
from irt_engine.answers.times import NO_TIME, TIME, read_times, require_length
from irt_engine.contract.names import REFUSE
from irt_engine.errors import InputError
from irt_engine.kernels import rows
from irt_engine.kernels.threads import run


@dataclass(frozen=True)
class Responses:
    """Answers by person. Ids are sorted, and items ascend within a person: the order of the input leaves no trace.

    :ivar user_ids: N ids, sorted by code point.
    :ivar item_ids: J ids, sorted likewise.
    :ivar offsets: (N + 1,) int64; the answers of person p are `codes[offsets[p]:offsets[p + 1]]`.
    :ivar codes: (n,) int32, `2 * item + is_correct`.
    :ivar n_repeats_dropped: how many answers were left out as repeated.
    :ivar group_ids: names of the groups, sorted, and `group` (N,) int32, that of each user; None without groups.
    :ivar times: (n,) int64, when each answer was given, in microseconds since 1970, UTC; `NO_TIME` where that is not
        known. None unless they were asked for.
    """

    user_ids: pa.Array
    item_ids: list[str]
    offsets: np.ndarray
    codes: np.ndarray
    n_repeats_dropped: int = 0
    group_ids: list[str] | None = None
    group: np.ndarray | None = None
    times: np.ndarray | None = None

    @classmethod
    def from_columns(
        cls, user_id: Any, item_id: Any, is_correct: Any, *, responded_at: Any = None, repeats: str = REFUSE,
        group: Any = None, timed: bool = False,
    ) -> Responses:  # fmt: skip
        """Build from three columns of equal length: lists, NumPy, pandas or Arrow arrays, chunked or not.

        Ids are strings, integers, which become their decimal string, or UUIDs. `is_correct` is true, false, 1 or 0.

        :param responded_at: a column of times, which tell the first of repeated answers from the last.
        :param repeats: what becomes of several answers of a user to an item, one of `REPEATS`.
        :param group: a column of ids, the group that the user belongs to.
        :param timed: keep the times of all answers, as the rule `changed` needs them.
        :raise InputError: a user is in two groups; a column is of another type or length, holds a null or another value
            than these (field and row are named), or repeated answers are refused (their number is given).
        """
        users = encode("user_id", user_id)
        items = encode("item_id", item_id)
        right = read_right("is_correct", is_correct)
        if not users.codes.size == items.codes.size == right.size:
            sizes = {"user_id": users.codes.size, "item_id": items.codes.size, "is_correct": right.size}
            told = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise InputError("observations", sizes, f"the columns differ in length: {told}")
        user, item = users.codes, items.codes
        group_ids, of_user = groups_of_users(users, group)
        kept = None if repeats == REFUSE else kept_rows(user, item, responded_at, repeats)
        if kept is not None:
            user, item, right = user[kept], item[kept], right[kept]
        offsets = rows.row_offsets(user, len(users.ids))
        codes = rows.fill_rows(user, item, right, offsets)
        surplus = np.empty(len(users.ids), np.int32)
        run(rows.sort_rows, offsets, codes, surplus, work=20.0 * codes.size)
        dropped = users.codes.size - user.size
        responses = cls(users.ids, items.ids.to_pylist(), offsets, codes, dropped, group_ids, of_user)
        _refuse_duplicates(responses, surplus)
        if not timed:
            return responses
        given, times = _times_of(responded_at, users.codes.size, kept), np.empty(codes.size, np.int64)
        run(rows.fill_times, user, item, given, offsets, codes, times, work=50.0 * codes.size)
        return replace(responses, times=times)

    @classmethod
    def from_table(cls, table: Any, *, repeats: str = REFUSE, timed: bool = False) -> Responses:
        """Build from an Arrow table or a pandas frame with the columns user_id, item_id and is_correct.

        A column responded_at is used if repeated answers are not refused or times are kept (`timed`), and a column
        group if there is one.

        :raise InputError: a column is missing or there twice, or as `from_columns`.
        """
        names = table.column_names if isinstance(table, pa.Table) else list(table.columns)
        require_columns(names)
        times = table[TIME] if (repeats != REFUSE or timed) and TIME in names else None
        group = table[GROUP] if GROUP in names else None
        columns = (table[name] for name in COLUMNS)
        return cls.from_columns(*columns, responded_at=times, repeats=repeats, group=group, timed=timed)

    @classmethod
    def from_parquet(cls, path: str | Path, *, repeats: str = REFUSE, timed: bool = False) -> Responses:
        """Build from a Parquet file with the columns of `from_table`, or a folder of such files; others are not read.

        Unless repeated answers are to be chosen from, the files are read in batches: only the answers' compact form
        (4 bytes each, 12 with times) and the users are held whole.

        :param path: of this machine, or the address of an object or a folder in a bucket (see `locations`).
        :raise InputError: a file is not Parquet, or missing among numbered ones, or as `from_table`.
        """
        field, source = "observations", str(path)
        try:
            sources = open_all(field, source)
            names = common_columns(sources)
            if repeats == REFUSE:
                return cls._of_rows(read_rows(sources, timed=timed, grouped=GROUP in names))
            table = read_whole(sources, columns_read(names, repeats, timed))
        except (pa.ArrowException, OSError) as error:
            # Arrow's lack of memory is both, and no fault that another file would not have.
            if isinstance(error, (FileNotFoundError, MemoryError)):
                raise
            raise InputError(field, source, f"is not a Parquet file that can be read: {error}") from None
        return cls.from_table(table, repeats=repeats, timed=timed)

    @classmethod
    def _of_rows(cls, read: Rows) -> Responses:
        responses = cls(
            read.user_ids, read.item_ids, read.offsets, read.codes, 0, read.group_ids, read.group, read.times
        )
        _refuse_duplicates(responses, read.surplus)
        return responses

    def __len__(self) -> int:
        """The number of answers."""
        return self.codes.size

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    def item_counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Answers and right answers of each item, (J,) int64 each."""
        return count_by_item(self.codes, self.n_items)

    def select(self, users: np.ndarray, items: np.ndarray) -> Responses:
        """The answers of some users to some items, given as masks (N,) and (J,)."""
        if users.all() and items.all():
            return self
        chosen = np.flatnonzero(users)
        new_item = np.where(items, np.cumsum(items) - 1, -1)
        offsets, codes, times = select(self.offsets, self.codes, chosen, new_item, self.times)
        kept = [item for item, keep in zip(self.item_ids, items, strict=True) if keep]
        group = None if self.group is None else self.group[chosen]
        return Responses(
            take(self.user_ids, chosen), kept, offsets, codes, self.n_repeats_dropped, self.group_ids, group, times
        )

    def since(self, first: Mapping[str, int]) -> Responses:
        """Without the answers to some items that were given before a time, or without one.

        :param first: by item id, in microseconds since 1970, UTC.
        """
        assert self.times is not None  # noqa: S101
        earliest = np.array([first.get(item, NO_TIME) for item in self.item_ids], np.int64)
        kept = self.times >= earliest[self.codes >> 1]
        offsets = np.concatenate([[0], np.cumsum(kept)])[self.offsets]
        return replace(self, offsets=offsets, codes=self.codes[kept], times=self.times[kept])


def _times_of(column: Any, n_answers: int, kept: np.ndarray | None) -> np.ndarray:
    """:raise InputError: there is no column, or as `read_times`."""
    if column is None:
        raise InputError(f"observations.{TIME}", None, "is missing: verdicts.changed needs the times of the answers")
    require_length(column, n_answers)
    rows = np.arange(n_answers) if kept is None else np.flatnonzero(kept)
    return read_times(column, rows, needed_for="since verdicts.changed goes by it")


def _refuse_duplicates(responses: Responses, surplus: np.ndarray) -> None:
    total = int(surplus.sum())
    if not total:
        return
    person = int(np.flatnonzero(surplus)[0])
    row = responses.codes[responses.offsets[person] : responses.offsets[person + 1]] >> 1
    item = responses.item_ids[row[1:][row[1:] == row[:-1]][0]]
    user = responses.user_ids[person].as_py()
    message = (
        f"{total} duplicate answers: a user has at most one to an item; the first is of user {user!r} to item "
        f"{item!r}. Set options.repeats to first or last to keep one of each"
    )
    raise InputError("observations", total, message)
