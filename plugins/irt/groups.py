"""Which group each user belongs to (`Groups` in `irt.bank`); a calibration estimates a mean and an SD per group.

A user's group is the exam or the topic of the latest answer in the window, or the value in a table. Users without
either form one more group, because a calibration with groups needs a group for every user.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irt.errors import BadDataError, SchemaError
from irt.sql import statement

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook
    from irt.run import Run

NO_GROUP = "(no group)"
GROUP = "group"
_STATEMENTS = {"view": "extract/groups_from_view", "exam_results": "extract/groups_from_exams"}


class Groups:
    """The groups of a bank's users, which are joined to the responses of one shard after another.

    :param table: user_id and group_id, both text.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._sizes: Counter[str] = Counter()
        self._several: list[pa.Table] = []

    def join(self, responses: pa.Table) -> pa.Table:
        """The responses with a column `group`.

        :param responses: of users who have none in other shards; user_id dictionary-encoded.
        """
        ids = responses["user_id"].combine_chunks()
        users = ids.dictionary
        known = self._table.filter(pc.is_in(self._table["user_id"], value_set=users))
        self._several.append(_in_several(known))
        row = pc.index_in(users, value_set=known["user_id"].combine_chunks())
        found = pc.fill_null(known["group_id"].take(row).combine_chunks(), NO_GROUP).dictionary_encode()
        present = np.unique(ids.indices.to_numpy())
        sizes = np.bincount(found.indices.to_numpy()[present], minlength=len(found.dictionary))
        self._sizes.update(dict(zip(found.dictionary.to_pylist(), sizes.tolist())))
        return responses.append_column(
            GROUP, pa.DictionaryArray.from_arrays(found.indices.take(ids.indices), found.dictionary)
        )

    def counts(self) -> dict[str, Any]:
        """The number of users of each group, once all responses were joined.

        :raise BadDataError: a user is in several groups.
        """
        several = pa.concat_tables(self._several)
        users = pc.unique(several["user_id"])
        if len(users):
            first = pc.min(users).as_py()
            named = sorted(pc.unique(several.filter(pc.equal(several["user_id"], first))["group_id"]).to_pylist())
            raise BadDataError(
                f"groups: {len(users)} users are in several groups; a user belongs to one. The first is user "
                f"{first!r}, in {' and '.join(map(repr, named[:5]))}"
            )
        return {"groups": {name: size for name, size in sorted(self._sizes.items()) if size}}


def read_groups(database: ArrowPostgresHook, run: Run, window: dict[str, Any]) -> Groups:
    """Read the groups of the bank's users.

    :param window: the parameters of the statements that read answers.
    :raise SchemaError: the table lacks a column, or the role may not read it; names the grant.
    """
    groups = run.groups or {}
    if table := groups.get("table"):
        from psycopg import sql

        _require_readable(database, table, groups["user"], groups["column"])
        name = "extract/groups_from_table"
        parameters: dict[str, Any] = {
            "group_table": sql.Identifier(*table.split(".")),
            "user_column": sql.Identifier(groups["user"]),
            "group_column": sql.Identifier(groups["column"]),
        }
    else:
        name, parameters = _STATEMENTS[run.source], window | {"by": groups["by"]}
    with database.stream(name, parameters) as reader:
        return Groups(reader.read_all())


def _in_several(known: pa.Table) -> pa.Table:
    """The rows of users in several groups. A table may have several rows of a user, as long as they agree."""
    distinct = known.group_by("user_id").aggregate([("group_id", "count_distinct")])
    several = distinct.filter(pc.greater(distinct["group_id_count_distinct"], 1))
    return known.filter(pc.is_in(known["user_id"], value_set=several["user_id"].combine_chunks()))


def _require_readable(database: ArrowPostgresHook, table: str, user: str, column: str) -> None:
    from psycopg.errors import InsufficientPrivilege

    place = f"the database {database.connection.schema} at {database.connection.host}"
    parameters = {"group_table": table, "columns": [user, column]}
    try:
        rows = database.get_records(statement("extract/group_columns"), parameters)
    except InsufficientPrivilege as error:
        raise SchemaError(
            f"groups.table: {table} of {place}: {error.diag.message_primary}; grant usage on it"
        ) from None
    if not any(exists for _, exists, _, _ in rows):
        raise SchemaError(f"groups.table: {place} has no table {table} with the columns {user} and {column}")
    if missing := [name for name, exists, _, _ in rows if not exists]:
        raise SchemaError(f"groups: {table} of {place} has no column {missing[0]}")
    if refused := [name for name, _, readable, _ in rows if not readable]:
        role = rows[0][3]
        raise SchemaError(
            f"groups: the role {role} may not read {table}: grant select ({', '.join(refused)}) on {table} to {role}"
        )
