"""The schema of the project database, from `include/sql/schema`."""

from __future__ import annotations

import psycopg

from local.home import ROOT

SQL = ROOT / "include" / "sql"


def apply_schema(connection: psycopg.Connection) -> None:
    """Run the schema files in the order of their numbers, in one transaction; each may run any number of times."""
    with connection.transaction():
        # Two at once: the second waits, then finds everything there.
        connection.execute("select pg_advisory_xact_lock(hashtext('irt schema'))")
        for file in sorted((SQL / "schema").glob("*.sql")):
            connection.execute(file.read_text(encoding="utf-8"))
