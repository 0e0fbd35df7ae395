"""`./irt status` and `./irt psql`: look into the project database, whether its server is running or not."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.box import SIMPLE_HEAD
from rich.table import Table

from local import cluster
from local.console import wide_console
from local.home import DATABASE_CONNECTION, Home
from local.postgres import EmbeddedPostgres
from local.processes import Supervisor
from local.schema import SQL, apply_schema, database_conninfo
from local.stack import StackError, only_one, start_postgres

_TITLES = {
    "bank": "bank",
    "last_calibration": "last calibration",
    "items_last_day": "items 24 h",
    "users_last_day": "users 24 h",
    "anchors": "anchors",
    "slope": "slope",
    "intercept": "intercept",
    "last_run": "last run",
}


@contextmanager
def reachable_database(home: Home) -> Iterator[tuple[EmbeddedPostgres, str]]:
    """Yields the project database's libpq string; starts the embedded server for the block if it is not running."""
    postgres = EmbeddedPostgres(home.postgres)
    if os.environ.get(DATABASE_CONNECTION) or postgres.running:
        yield postgres, database_conninfo(postgres)
        return
    with only_one(home), Supervisor(home.logs) as supervisor:
        start_postgres(supervisor, postgres, print)
        cluster.bring_up_to_date(supervisor, postgres, home, print)
        yield postgres, database_conninfo(postgres)


def show(home: Home) -> int:
    """Print the morning check.

    :raise StackError: no calibration has run on this database yet.
    """
    with reachable_database(home) as (_, conninfo), psycopg.connect(conninfo) as connection:
        if connection.execute("select to_regclass('irt.run')").fetchone()[0] is None:
            raise StackError("no calibration has run on this database yet; try ./irt demo")
        with connection.cursor(row_factory=dict_row) as cursor:
            banks = cursor.execute((SQL / "status" / "overview.sql").read_text()).fetchall()
            failed = cursor.execute((SQL / "status" / "failed_checks.sql").read_text()).fetchall()
            held = cursor.execute((SQL / "status" / "held_items.sql").read_text()).fetchall()
    table = Table(box=SIMPLE_HEAD, title=f"Calibrations, as of {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC")
    for title in _TITLES.values():
        table.add_column(title, justify="left" if title == "bank" else "right", no_wrap=True)
    for bank in banks:
        last_run = f"{bank['last_run_state']} {_cell(bank['last_run'])}"
        table.add_row(*(_cell(bank[name]) for name in _TITLES if name != "last_run"), last_run)
    console = wide_console()
    console.print(table)
    for check in failed:
        word = "FAILED" if check["severity"] == "fail" else "warning"
        console.print(f"{check['run_key']} ({check['state']}): {check['check_name']} {word}: {check['finding']}")
    for item in held:
        nights = f"{item['nights']} night{'s' if item['nights'] > 1 else ''}"
        console.print(f"{item['bank']}: item {item['item_id']} held: {item['reason']}, {nights}, {item['since_run']}")
    return 0


def migrate(home: Home) -> int:
    """Bring the schema up to date, as the owner of the tables."""
    with reachable_database(home) as (postgres, _):
        applied = apply_schema(database_conninfo(postgres, owner=True))
    print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
    return 0


def psql(home: Home, arguments: list[str]) -> int:
    """Open psql; passes the connection in the environment, because anyone on the machine can read a command line."""
    with reachable_database(home) as (postgres, conninfo):
        known = psycopg.conninfo.conninfo_to_dict(conninfo)
        env = {variable: str(known[key]) for key, variable in _LIBPQ.items() if known.get(key)}
        # Ctrl-C cancels a query in psql and must not stop us.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.call(
                [str(postgres.psql()), *arguments], env={**os.environ, **env}, preexec_fn=_heed_ctrl_c
            )
        finally:
            signal.signal(signal.SIGINT, before)


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# libpq's connection parameters and the environment variables that stand for them.
_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M")
    return f"{value:.4f}" if isinstance(value, float) else str(value)
