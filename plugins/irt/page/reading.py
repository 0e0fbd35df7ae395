"""Reads the run tables for the page: one short, read-only transaction per question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row

from irt.hooks.postgres import ArrowPostgresHook
from irt.operators.base import DATABASE
from irt.sql import statement

# A page that takes longer than this is of no use, and must not hold the database.
_MOST_MILLISECONDS = 10_000
Row = dict[str, Any]


class Reader(Protocol):
    def rows(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of `include/sql/page/<name>.sql`, by column."""


class _Reader:
    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def rows(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        return self._connection.execute(statement(f"page/{name}"), parameters).fetchall()


@contextmanager
def reading(postgres_conn_id: str = DATABASE) -> Iterator[Reader]:
    """A reader whose questions are all answered from one state of the database.

    :param postgres_conn_id: the Airflow connection of the database.
    :raise psycopg.Error: the database cannot be reached, or an answer takes too long.
    """
    with reading_from(ArrowPostgresHook(postgres_conn_id=postgres_conn_id).conninfo()) as reader:
        yield reader


@contextmanager
def reading_from(conninfo: str) -> Iterator[Reader]:
    """As `reading`, for libpq's string of the database."""
    with psycopg.connect(conninfo, row_factory=dict_row, autocommit=False) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select set_config('statement_timeout', %s, true)", [str(_MOST_MILLISECONDS)])
        yield _Reader(connection)
        connection.rollback()
