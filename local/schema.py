"""The schema of the project database, from `include/sql/schema`, and the login that the DAGs use."""

from __future__ import annotations

import logging
import os
import sys

from local.home import DATABASE_CONNECTION, ROOT
from local.postgres import EmbeddedPostgres

SQL = ROOT / "include" / "sql"

# Used if the tables' owner is not the DAGs' login.
OWNER_CONNECTION = "AIRFLOW_CONN_SEEDTEST_OWNER"


def apply_schema(conninfo: str) -> list[str]:
    """Apply the missing migrations; returns their names."""
    use_plugins()
    from irt.migrations import migrate

    # The caller reports what was applied in one line; yoyo would log one per statement.
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    return migrate(conninfo)


def missing_migrations(conninfo: str) -> list[str]:
    use_plugins()
    from irt.migrations import missing

    return missing(conninfo)


def database_conninfo(postgres: EmbeddedPostgres, *, owner: bool = False) -> str:
    """libpq's string for the project database: of the connection `seedtest_db`, or of the embedded server.

    :param owner: for schema changes: use the connection `seedtest_owner` if it is set.
    """
    if owner and os.environ.get(OWNER_CONNECTION):
        return _conninfo_of("seedtest_owner")
    return _conninfo_of("seedtest_db") if os.environ.get(DATABASE_CONNECTION) else postgres.conninfo()


def _conninfo_of(connection: str) -> str:
    use_plugins()
    from irt.hooks.postgres import ArrowPostgresHook

    return ArrowPostgresHook(postgres_conn_id=connection).conninfo()


def use_plugins() -> None:
    """Put the plugins folder on `sys.path`, as Airflow does."""
    folder = str(ROOT / "plugins")
    if folder not in sys.path:
        sys.path.insert(0, folder)
