"""A consumer that reads the three published tables without pause, and records each state it sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg

_PAUSE = 0.1
_BANK = "lsat7"
_ROWS = """
select
    count(*), count(distinct {key}), array_agg(distinct fitted_at order by fitted_at),
    md5(string_agg(t::text, ',' order by t::text))
from {table} as t
where {where}
"""
# Key and condition for the bank's rows, by table.
_TABLES = {
    "mirt_item_params": ("item_id", "version = '{bank}'"),
    "mirt_ability": ("(user_id, version)", "version = '{bank}'"),
    "mirt_fit_meta": ("run_id", "model_spec ->> 'bank' = '{bank}'"),
}


@dataclass(frozen=True)
class Table:
    rows: int
    keys: int
    fitted_at: tuple[datetime, ...]
    digest: str | None


@dataclass(frozen=True)
class Published:
    """What the three tables held at one moment."""

    items: Table
    abilities: Table
    meta: Table

    @property
    def fitted_at(self) -> datetime | None:
        """When the published calibration was fitted.

        :raise AssertionError: the tables are not of one calibration.
        """
        if not self.meta.rows:
            assert (self.items.rows, self.abilities.rows) == (0, 0), self
            return None
        newest = self.meta.fitted_at[-1]
        assert (self.items.fitted_at, self.abilities.fitted_at) == ((newest,), (newest,)), self
        return newest

    def check(self) -> None:
        """:raise AssertionError: a row appears twice, or the tables are not of one calibration."""
        for table in (self.items, self.abilities, self.meta):
            assert table.rows == table.keys, self
        assert self.fitted_at is None or (self.items.rows, self.abilities.rows) == (5, 1000), self


def read(connection: psycopg.Connection) -> Published:
    """All three in one transaction, from one snapshot."""
    tables = []
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        for name, (key, where) in _TABLES.items():
            query = _ROWS.format(table=name, key=key, where=where.format(bank=_BANK))
            rows, keys, fitted_at, digest = connection.execute(query).fetchone()
            tables.append(Table(rows, keys, tuple(fitted_at or ()), digest))
    return Published(*tables)


class Reader:
    """Reads in a thread; retries when the database is down."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._seen: list[Published] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()

    def now(self) -> Published:
        with self._connect() as connection:
            return read(connection)

    def mark(self) -> int:
        return len(self._seen)

    def since(self, mark: int) -> list[Published]:
        """Every state seen since the mark, in order, without consecutive duplicates."""
        assert self._failure is None, self._failure
        seen = self._seen[mark:]
        assert len(seen) >= 10, f"the reader read only {len(seen)} times"
        return [state for n, state in enumerate(seen) if n == 0 or state != seen[n - 1]]

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                with self._connect() as connection:
                    while not self._ended.wait(_PAUSE):
                        self._seen.append(read(connection))
            except psycopg.OperationalError:
                self._ended.wait(_PAUSE)
            except BaseException as failure:  # reported by `since`, in the test's own thread
                self._failure = failure
                return
