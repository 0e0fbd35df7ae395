"""The schema of the project database, from `include/sql/schema`, and the login that the DAGs use."""

from __future__ import annotations

import logging
import os
import sys

from local.home import DATABASE_CONNECTION, ROOT
from local.postgres import EmbeddedPostgres

SQL = ROOT / "include" / "sql"

# Where the owner of the tables is another login than the DAGs'.
OWNER_CONNECTION = "AIRFLOW_CONN_SEEDTEST_OWNER"


def apply_schema(conninfo: str) -> list[str]:
    """Apply the migrations that are missing.

    :return: their names.
    """
    use_plugins()
    from irt.migrations import migrate

    # Whoever calls says what was applied, in one line; yoyo has one for each statement.
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    return migrate(conninfo)


def missing_migrations(conninfo: str) -> list[str]:
    use_plugins()
    from irt.migrations import missing

    return missing(conninfo)


def database_conninfo(postgres: EmbeddedPostgres, *, owner: bool = False) -> str:
    """libpq's string for the project database: that of the connection `seedtest_db`, or the embedded one.

    :param owner: for changes of the schema: the connection `seedtest_owner` where there is one.
    """
    if owner and os.environ.get(OWNER_CONNECTION):
        return _conninfo_of("seedtest_owner")
    return _conninfo_of("seedtest_db") if os.environ.get(DATABASE_CONNECTION) else postgres.conninfo()


def _conninfo_of(connection: str) -> str:
    use_plugins()
    from irt.hooks.postgres import ArrowPostgresHook

    return ArrowPostgresHook(postgres_conn_id=connection).conninfo()


def use_plugins() -> None:
    """What Airflow does with the folder of plugins."""
    folder = str(ROOT / "plugins")
    if folder not in sys.path:
        sys.path.insert(0, folder)
