"""The columns of the view `attempt` as the extraction reads them, compared with what the database has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irt.errors import SchemaError
from irt.sql import statement

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook
    from irt.run import Run

_WORDS = ("text", "character varying")
# Types with only one text per value. (A numeric may be 1 or 1.0, and character(n) is padded.)
_IDS = ("bigint", "integer", "smallint", "uuid", *_WORDS)
_NEEDED = {
    "student_id": _IDS,
    "item_id": _IDS,
    "correct": ("boolean",),
    # Without a time zone, the moment would depend on the settings of the session and the worker.
    "completed_at": ("timestamp with time zone",),
    # Orders answers given at the same moment.
    "id": _IDS,
    "topic_id": _WORDS,
    # Compared with exam_results.session_id.
    "session_id": (*_WORDS, "uuid"),
}
_WHOLE = ("smallint", "integer", "bigint")
# The view may lack these, unless one of the bank's options needs them.
_OPTIONAL = {
    "response_time_ms": (*_WHOLE, "numeric", "real", "double precision"),
    "hint_used": ("boolean",),
    "attempt_no": _WHOLE,
}


def require_columns(database: ArrowPostgresHook, run: Run) -> set[str]:
    """Check the view before its answers are streamed.

    :return: the columns that it has.
    :raise SchemaError: `attempt` is missing, or columns of it are missing or of another type; names each of them with
        its type, the type needed, and the bank's option that needs it.
    """
    found = dict(database.get_records(statement("extract/attempt_columns")))
    place = f"the database {database.connection.schema} at {database.connection.host}"
    if not found:
        raise SchemaError(f"{place} has no view or table named attempt on the search path")
    options = _options(run)
    needed = _NEEDED | {name: types for name, types in _OPTIONAL.items() if name in found or name in options}
    faults = [
        _fault(name, found.get(name), types) + options.get(name, "")
        for name, types in needed.items()
        if found.get(name) not in types
    ]
    if faults:
        raise SchemaError(f"attempt of {place} lacks columns that the extraction reads: {'; '.join(faults)}")
    return set(found)


def reads_attempt_no(database: ArrowPostgresHook, columns: set[str]) -> bool:
    """Whether the view has attempt_no, and not from a window function."""
    if "attempt_no" not in columns:
        return False
    return not any("WindowAgg" in line for (line,) in database.get_records(statement("extract/attempt_no_plan")))


def _options(run: Run) -> dict[str, str]:
    """The columns that the bank's options need, and which option it is."""
    asked = {}
    if run.min_response_ms:
        asked["response_time_ms"] = f"min_response_ms: {run.min_response_ms}"
    if run.hinted == "leave_out":
        asked["hint_used"] = "hinted: leave_out"
    return {column: f", for the option {option} of bank {run.bank}" for column, option in asked.items()}


def _fault(name: str, found: str | None, types: tuple[str, ...]) -> str:
    needed = f"needed {' or '.join(types)}"
    return f"{name} is {found}, {needed}" if found else f"{name} is missing, {needed}"
