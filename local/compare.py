"""`./irt compare-runs`: compares two calibrations, for example before switching from another job to this one."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.box import SIMPLE_HEAD
from rich.table import Table

from local.console import wide_console
from local.home import Home
from local.schema import SQL
from local.stack import StackError
from local.status import reachable_database

PUBLISHED = "published"
_COLUMNS = ("in_both", "only_first", "only_second", "correlation", "mean_difference", "rmse", "largest")


def show(home: Home, first: str, second: str, version: str | None) -> int:
    """Print how far apart two calibrations are.

    :param first, second: run keys, or `published` for what consumers read.
    :param version: of the published rows; None for any (except abilities of online updates).
    :raise StackError: a run does not exist, or the two have nothing in common.
    """
    with reachable_database(home) as (_, conninfo), psycopg.connect(conninfo, row_factory=dict_row) as connection:
        rows = compare(connection, first, second, version)
    table = Table(box=SIMPLE_HEAD, title=f"first: {first}; second: {second}; differences are second - first")
    table.add_column("parameter")
    for name in _COLUMNS:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["parameter"], *(_cell(row[name]) for name in _COLUMNS))
    wide_console().print(table)
    return 0


def compare(connection: psycopg.Connection, first: str, second: str, version: str | None) -> list[dict[str, Any]]:
    """One row of figures per parameter; see `show`."""
    for name in {first, second} - {PUBLISHED}:
        if connection.execute("select 1 from irt.run where run_key = %s", [name]).fetchone() is None:
            raise StackError(f"there is no run {name!r} in irt.run")
    asked = {"first": first, "second": second, "bank": version}
    rows = []
    for name in ("compare_items", "compare_abilities"):
        rows += connection.execute((SQL / "status" / f"{name}.sql").read_text(), asked).fetchall()
    if not any(row["in_both"] for row in rows):
        raise StackError(f"{first} and {second} have no item and no user in common")
    return rows


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
