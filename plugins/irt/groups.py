"""Which group each user belongs to (`Groups` in `irt.bank`); a calibration estimates a mean and an SD per group.

A user's group is the exam or the topic of the latest answer in the window, or the value in a table. Users without
either form one more group, because a calibration with groups needs a group for every user.
"""

from __future__ import annotations

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


def read_groups(database: ArrowPostgresHook, run: Run, window: dict[str, Any]) -> pa.Table:
    """The groups of the bank's users: user_id, group_id, both text.

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
    with database.arrow_transaction() as transaction:
        return transaction.batches(name, parameters).read_all()


def with_groups(responses: pa.Table, groups: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """The responses with a column `group`, and the number of users of each group.

    :param responses: user_id dictionary-encoded.
    :raise BadDataError: a user is in several groups.
    """
    ids = responses["user_id"].combine_chunks()
    users = ids.dictionary
    _refuse_several(groups, users)
    row = pc.index_in(users, value_set=groups["user_id"].combine_chunks())
    found = pc.fill_null(groups["group_id"].take(row).combine_chunks(), NO_GROUP).dictionary_encode()
    present = np.unique(ids.indices.to_numpy(zero_copy_only=False))
    names = found.dictionary.to_pylist()
    sizes = np.bincount(found.indices.to_numpy(zero_copy_only=False)[present], minlength=len(names)).tolist()
    column = pa.DictionaryArray.from_arrays(found.indices.take(ids.indices), found.dictionary)
    counts = {name: size for name, size in sorted(zip(names, sizes, strict=True)) if size}
    return responses.append_column(GROUP, column), {"groups": counts}


def _refuse_several(groups: pa.Table, users: pa.Array) -> None:
    """A table may have several rows of a user, as long as they agree."""
    known = groups.filter(pc.is_in(groups["user_id"], value_set=users))
    distinct = known.group_by("user_id").aggregate([("group_id", "count_distinct")])
    several = distinct.filter(pc.greater(distinct["group_id_count_distinct"], 1))
    if len(several):
        first = pc.min(several["user_id"]).as_py()
        named = sorted(pc.unique(known.filter(pc.equal(known["user_id"], first))["group_id"]).to_pylist())
        raise BadDataError(
            f"groups: {len(several)} users are in several groups; a user belongs to one. The first is user {first!r}, "
            f"in {' and '.join(map(repr, named[:5]))}"
        )


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
