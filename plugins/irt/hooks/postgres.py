"""PostgreSQL through Arrow: streams results as record batches and writes tables by binary COPY."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.postgres.hooks.postgres import PostgresHook

from irt.hooks import patience
from irt.hooks.watch import ended_in_time
from irt.sql import literal, positional, statement

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowTransaction:
    """One transaction on an ADBC connection; statements are named after their files under `include/sql`."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, name: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement whose rows, if any, do not matter."""
        self._cursor.execute(*positional(statement(name), parameters or {}))

    def row(self, name: str, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Run a statement and return its first row, or None."""
        self.execute(name, parameters)
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def append(self, table: str, rows: pa.Table | pa.RecordBatchReader, schema: str) -> None:
        """Write Arrow rows, of a reader batch by batch, by COPY in PostgreSQL's binary format; columns are matched by
        name.
        """
        self._cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema)


class ArrowPostgresHook(PostgresHook):
    """The Postgres provider's hook, with Arrow.

    The statements are in files, so the log of a task shows only their results. No statement waits longer than a minute
    for a lock (see `patience`), or runs longer than its task may.

    :param longest: how long the task may take.
    """

    def __init__(self, *args: Any, longest: timedelta | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **{"log_sql": False, **kwargs})
        self.longest = longest

    def conninfo(self) -> str:
        """libpq's connection string of the Airflow connection. Holds the password: never log it."""
        from psycopg.conninfo import make_conninfo

        connection = self.connection
        login, password, port = connection.login, connection.password, connection.port
        if connection.extra_dejson.get("iam"):
            login, password, port = self.get_iam_token(connection)
        extra = {k: v for k, v in connection.extra_dejson.items() if k not in self.ignored_extra_options}
        known = {
            "host": connection.host,
            "port": port,
            "user": login,
            "password": password,
            "dbname": self.database or connection.schema,
            **patience.NETWORK,
            **extra,
        }
        return make_conninfo("", **{k: v for k, v in known.items() if v not in (None, "")})

    # The provider's method logs "Rows affected: 1" among the lines of a task, whatever log_sql says. It also takes
    # lists of statements, which nobody here needs.

    def get_records(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:  # type: ignore[override]
        """All rows of a statement."""
        with self.transaction() as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(sql, parameters).fetchall()
        return rows

    def get_first(self, sql: str, parameters: Any = None) -> tuple[Any, ...] | None:  # type: ignore[override]
        """The first row of a statement, or None."""
        with self.transaction() as cursor:
            row: tuple[Any, ...] | None = cursor.execute(sql, parameters).fetchone()
        return row

    @contextmanager
    def arrow_transaction(self) -> Iterator[ArrowTransaction]:
        """Commits at the end, rolls back on any error.

        :raise TransientError: a lock could not be obtained; names the sessions that hold locks.
        """
        from adbc_driver_postgresql import dbapi

        with self._naming_holders(), closing(dbapi.connect(self.conninfo())) as connection:
            try:
                with ended_in_time(connection.adbc_cancel, self.longest), closing(connection.cursor()) as cursor:
                    transaction = ArrowTransaction(cursor)
                    transaction.row("session/limits", patience.limits(self.longest))
                    yield transaction
            except BaseException:
                # A lost connection has been rolled back already; the first error is the one that explains.
                with suppress(Exception):
                    connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def stream(self, name: str, parameters: Mapping[str, Any]) -> Iterator[pa.RecordBatchReader]:
        """Stream a statement's rows by COPY, so that memory does not grow with them.

        :raise TransientError: as `arrow_transaction`.
        """
        import adbc_driver_manager
        import adbc_driver_postgresql
        import pyarrow as pa

        def execute(text: str) -> pa.RecordBatchReader:
            query = stack.enter_context(adbc_driver_manager.AdbcStatement(connection))
            query.set_sql_query(text)
            return pa.RecordBatchReader.from_stream(query.execute_query()[0])

        # Without ADBC's DB-API, which imports pandas before anything is sent to PostgreSQL.
        with self._naming_holders(), ExitStack() as stack:
            database = stack.enter_context(adbc_driver_postgresql.connect(self.conninfo()))
            connection = stack.enter_context(adbc_driver_manager.AdbcConnection(database))
            connection.set_autocommit(False)
            stack.enter_context(ended_in_time(connection.cancel, self.longest))
            execute(literal(statement("session/limits"), patience.limits(self.longest))).read_all()
            yield execute(literal(statement(name), parameters))

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A psycopg cursor in one transaction: commits at the end, rolls back on any error.

        :raise TransientError: as `arrow_transaction`.
        """
        with self._naming_holders(), closing(self.get_conn()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement("session/limits"), patience.limits(self.longest))
            yield cursor

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """A psycopg cursor in one read-only transaction, whose statements all see the rows as its first one did.

        :raise TransientError: as `arrow_transaction`.
        """
        import psycopg

        with self._naming_holders(), closing(self.get_conn()) as connection:
            connection.read_only, connection.isolation_level = True, psycopg.IsolationLevel.REPEATABLE_READ
            with connection, connection.cursor() as cursor:
                cursor.execute(statement("session/limits"), patience.limits(self.longest))
                yield cursor

    def get_conn(self) -> Any:
        import psycopg

        return psycopg.connect(self.conninfo())

    @contextmanager
    def _naming_holders(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not patience.waited_for_lock(error):
                raise
            with closing(self.get_conn()) as connection:
                holders = connection.execute(statement("session/holders")).fetchall()
            raise patience.held_by(holders) from error
