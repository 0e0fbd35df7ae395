"""The schema of the project database: numbered SQL files of `include/sql/schema`, applied in order by yoyo.

Each file runs once, in a transaction of its own. The first two create only what is missing, so that a database which
has the production tables already is adopted with the rows that it holds.
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

# The key of the advisory lock that makes a second migrator wait.
_LOCK = "select pg_advisory_lock(hashtext('irt schema'))"


def migrate(conninfo: str) -> list[str]:
    """Apply what is missing; needs the owner of the tables, or a superuser.

    Any number of migrators may run at once: they wait for each other, and the later find nothing to do.

    :param conninfo: libpq's connection string.
    :return: the names of the files applied now.
    :raise psycopg.Error: a file failed; it left nothing behind, those before it stay applied.
    """
    with psycopg.connect(conninfo, autocommit=True) as guard:
        guard.execute(_LOCK)
        with _backend(conninfo) as backend:
            # Ours is the lock that counts. yoyo's own is a row, which a migrator that was killed leaves behind.
            backend.break_lock()
            waiting = backend.to_apply(_files())
            names = [migration.id for migration in waiting]
            backend.apply_migrations(waiting)
        return names


def missing(conninfo: str) -> list[str]:
    """The names of the files that are not applied; changes nothing."""
    with psycopg.connect(conninfo) as connection:
        known = connection.execute("select to_regclass('_yoyo_migration') is not null").fetchone()
        query = "select migration_id from _yoyo_migration"
        applied = {row[0] for row in connection.execute(query)} if known and known[0] else set()
    return sorted({file.stem for file in FOLDER.glob("*.sql")} - applied)


def require_all(conninfo: str) -> None:
    """:raise SchemaError: naming what is missing, before any work starts on tables of another form."""
    if names := missing(conninfo):
        raise SchemaError(f"the database lacks {', '.join(names)}: run ./irt migrate as the owner of its tables")


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
