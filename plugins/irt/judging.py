"""What checks are given, and how one of the user's own runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from irt.hooks.patience import waited_for_lock
from irt.own_checks import OwnCheckError, PlannedCheck, read_statement
from irt.run import Run
from irt.sql import statement

Row = tuple[bool | None, float | None, str | None, str]


def parameters_of(run: Run, load_id: int, previous: tuple[int, str] | None) -> dict[str, Any]:
    """The parameters of all checks.

    :param previous: load_id and run_key of what consumers read; None if nothing is published yet.
    """
    previous_load_id, previous_run_key = previous or (None, None)
    return run.thresholds | {
        "run_key": run.run_key,
        "bank": run.bank,
        "window_end": run.window_end,
        "load_id": load_id,
        "banks": json.dumps(run.place.banks),
        "levels": run.levels,
        "legacy_service": run.legacy_service,
        "min_anchors": run.linking["min_anchors"],
        "previous_load_id": previous_load_id,
        "previous_run_key": previous_run_key,
    }


def judge(cursor: Any, folder: Path | None, check: PlannedCheck, parameters: Mapping[str, Any]) -> Row | None:
    """Run one of the user's own checks, in a savepoint that is rolled back: settings that it changes end with it.

    :param cursor: of a read-only transaction (`ArrowPostgresHook.snapshot`).
    :return: passed, figure, threshold, finding; None if the check has no row.
    :raise OwnCheckError: the check cannot be read, PostgreSQL refuses or cancels it, or it has several rows.
    :raise psycopg.Error: the connection is lost, or a lock could not be obtained.
    """
    rows = _rows(cursor, folder, check, parameters, most=2)
    if len(rows) > 1:
        raise OwnCheckError(f"{check.name}.sql: expected one row, found several")
    if not rows:
        return None
    passed, figure, threshold, finding = rows[0]
    return passed, figure, threshold, "no finding" if finding is None else finding


def analyse(cursor: Any, folder: Path | None, run: Run) -> list[str]:
    """Let PostgreSQL analyse a run's own checks, as on its bank's first night, without running them.

    :return: each check that cannot run (a missing column, table or grant, a wrong type), and why.
    """
    mistakes: list[str] = []
    for check in run.own_checks:
        try:
            _rows(cursor, folder, check, parameters_of(run, 0, None), most=0)
        except OwnCheckError as error:
            mistakes.append(f"bank {run.bank}: own check {check.name}: {error}")
    return mistakes


def _rows(
    cursor: Any, folder: Path | None, check: PlannedCheck, parameters: Mapping[str, Any], *, most: int
) -> list[Any]:
    if folder is None:
        raise OwnCheckError(f"{check.name}.sql cannot be read: banks.yaml has no checks_folder any more")
    text = statement("own/row").replace("%(own_check)s", read_statement(folder, check.name))
    known = {**check.thresholds, **parameters, "_most": most}
    try:
        with cursor.connection.transaction(force_rollback=True):
            cursor.execute(statement("own/limit"), {"milliseconds": str(1000 * check.seconds)})
            return list(cursor.execute(text, known).fetchall())
    except psycopg.Error as error:
        if cursor.connection.closed or waited_for_lock(error):
            raise
        raise OwnCheckError(_reason(error, check)) from error


def _reason(error: psycopg.Error, check: PlannedCheck) -> str:
    """One line, without the statement."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return f"cancelled after {check.seconds} s ({check.name}.yaml: seconds)"
    return error.diag.message_primary or str(error).partition("\n")[0]
