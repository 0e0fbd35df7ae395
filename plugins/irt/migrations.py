"""The schema of the project database: numbered SQL files of `include/sql/schema`, applied in order by yoyo.

Each file runs once, in its own transaction. The first two create only what is missing, so a database that already has
the production tables is adopted with its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from irt.errors import SchemaError
from irt.sql import SQL

FOLDER = SQL / "schema"

# The oldest PostgreSQL: publish/abilities.sql uses `merge`. If the view `attempt` is missing, 0001 creates one with
# pg_input_is_valid, which 15 lacks; production's own view is not touched.
OLDEST = 150000
OLDEST_WITHOUT_ATTEMPT = 160000

# The key of the advisory lock that makes a second migrator wait.
_LOCK = "select pg_advisory_lock(hashtext('irt schema'))"


def migrate(conninfo: str) -> list[str]:
    """Apply what is missing; needs the owner of the tables, or a superuser.

    Any number of migrators may run at once: they wait for each other, and later ones find nothing to do.

    :param conninfo: libpq's connection string.
    :return: the names of the files applied now.
    :raise SchemaError: the server is too old; nothing was changed.
    :raise psycopg.Error: a file failed and was rolled back; the files before it stay applied.
    """
    with psycopg.connect(conninfo, autocommit=True) as guard:
        guard.execute(_LOCK)
        _require_version(guard)
        with _backend(conninfo) as backend:
            # Our lock is the one that counts. yoyo's is a row, which a killed migrator leaves behind.
            backend.break_lock()
            waiting = backend.to_apply(_files())
            names = [migration.id for migration in waiting]
            backend.apply_migrations(waiting)
        return names


def missing(conninfo: str) -> list[str]:
    """The names of the files that are not applied; changes nothing."""
    with psycopg.connect(conninfo) as connection:
        return _missing(connection)


def require_all(conninfo: str) -> None:
    """Check the schema before any work starts.

    :raise SchemaError: the server is too old, or files are not applied; names them, the host and the database.
    """
    with psycopg.connect(conninfo) as connection:
        _require_version(connection)
        if names := _missing(connection):
            raise SchemaError(
                f"{_place(connection)} lacks {', '.join(names)}: run ./irt migrate (from the wheel: irt-calibration "
                "migrate) as the owner of its tables"
            )


def _missing(connection: psycopg.Connection) -> list[str]:
    known = connection.execute("select to_regclass('_yoyo_migration') is not null").fetchone()
    query = "select migration_id from _yoyo_migration"
    applied = {row[0] for row in connection.execute(query)} if known and known[0] else set()
    return sorted({file.stem for file in FOLDER.glob("*.sql")} - applied)


def _require_version(connection: psycopg.Connection) -> None:
    found = connection.info.server_version
    needed, why = OLDEST, "merge"
    if OLDEST <= found < OLDEST_WITHOUT_ATTEMPT:
        row = connection.execute("select to_regclass('attempt') is null").fetchone()
        if row and row[0]:
            needed, why = OLDEST_WITHOUT_ATTEMPT, "pg_input_is_valid, for the view attempt, which is missing"
    if found < needed:
        version = f"{found // 10000}.{found % 10000}"
        raise SchemaError(
            f"{_place(connection)} runs on PostgreSQL {version}, needed {needed // 10000} or newer ({why})"
        )


def _place(connection: psycopg.Connection) -> str:
    """Host, port and database; neither user nor password."""
    info = connection.info
    return f"the database {info.dbname} at {info.host or 'localhost'}:{info.port}"


def _files() -> Any:
    from yoyo import read_migrations

    return read_migrations(str(FOLDER))


@contextmanager
def _backend(conninfo: str) -> Iterator[Any]:
    from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
    from yoyo.connections import DatabaseURI

    known = conninfo_to_dict(conninfo)
    uri = DatabaseURI(
        scheme="postgresql+psycopg",
        username=known.pop("user", None),
        password=known.pop("password", None),
        hostname=known.pop("host", None),
        port=known.pop("port", None),
        database=known.pop("dbname", None),
        args=known,
    )
    backend = PostgresqlPsycopgBackend(uri, "_yoyo_migration")
    backend.init_database()
    try:
        yield backend
    finally:
        backend.connection.close()
