"""How long a task waits for PostgreSQL, and the error if that was too long."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from irt.errors import TransientError

# libpq's parameters; the extra of an Airflow connection overrides them. A silent connection is dropped after a minute.
# Arrow's text is UTF-8; PostgreSQL converts that of databases in other encodings, such as EUC_KR.
NETWORK = {
    "client_encoding": "UTF8",
    "connect_timeout": 30,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# A statement must end before its task times out: Airflow's alarm does not interrupt C code.
_BEFORE_THE_END = timedelta(seconds=15)
# A worker frozen between two statements would keep its locks, and block everyone behind them, for as long as its
# machine keeps the connection alive. Our own pauses between statements last at most seconds.
_IDLE = timedelta(minutes=5)
_LOCK_NOT_AVAILABLE = "55P03"


def lock_seconds() -> float:
    """How long a statement waits for a lock: the environment variable `IRT_LOCK_SECONDS`, or a minute."""
    return float(os.environ.get("IRT_LOCK_SECONDS") or 60)


def limits(longest: timedelta | None) -> dict[str, str]:
    """The parameters of `session/limits`.

    :param longest: how long the task may take; None is no limit.
    """
    statement = max(longest - _BEFORE_THE_END, timedelta(seconds=1)) if longest else timedelta(0)
    seconds = {"lock": lock_seconds(), "statement": statement.total_seconds(), "idle": _IDLE.total_seconds()}
    return {name: _milliseconds(value) for name, value in seconds.items()}


def waited_for_lock(error: BaseException) -> bool:
    return getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def held_by(holders: Iterable[tuple[int, str, str, datetime | None, str]]) -> TransientError:
    """The error for a lock that could not be obtained.

    :param holders: the rows of `session/holders`.
    """
    named = "; ".join(_session(*holder) for holder in holders)
    return TransientError(
        f"gave up after waiting {lock_seconds():.0f} s for a lock in the database; sessions that hold locks: "
        f"{named or 'none any more'}"
    )


def _session(pid: int, login: str, application: str | None, since: datetime | None, tables: str) -> str:
    name = f" {application}" if application else ""
    at = f" since {since:%Y-%m-%d %H:%M:%S %Z}" if since else ""
    return f"pid {pid} (login {login}{name}){at} on {tables}"


def _milliseconds(seconds: Any) -> str:
    return str(round(1000 * seconds))
