"""The columns of the view `attempt` as the extraction reads them, compared with what the database has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irt.errors import SchemaError
from irt.sql import statement

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook

_WORDS = ("text", "character varying")
# What is the same as text wherever it is written. (A numeric 1 and 1.0 are not, nor is a padded character(n).)
_IDS = ("bigint", "integer", "smallint", "uuid", *_WORDS)
_NEEDED = {
    "student_id": _IDS,
    "item_id": _IDS,
    "correct": ("boolean",),
    # Without time zone, which moment it is would depend on the settings of the session and of the worker.
    "completed_at": ("timestamp with time zone",),
    # Orders the answers of one moment.
    "id": _IDS,
    "topic_id": _WORDS,
    # Compared with that of exam_results.
    "session_id": (*_WORDS, "uuid"),
}


def require_columns(database: ArrowPostgresHook) -> None:
    """Before the answers stream.

    :raise SchemaError: `attempt` is missing; or naming every column that is missing or of another type, with its type
        and what is needed.
    """
    found = dict(database.get_records(statement("extract/attempt_columns")))
    place = f"the database {database.connection.schema} at {database.connection.host}"
    if not found:
        raise SchemaError(f"{place} has no attempt: it is neither a view nor a table on the search path")
    faults = [_fault(name, found.get(name), types) for name, types in _NEEDED.items() if found.get(name) not in types]
    if faults:
        raise SchemaError(f"attempt of {place} has not the columns that the extraction reads: {'; '.join(faults)}")


def _fault(name: str, found: str | None, types: tuple[str, ...]) -> str:
    needed = f"needed {' or '.join(types)}"
    return f"{name} is {found}, {needed}" if found else f"{name} is missing, {needed}"
