"""`./irt check-readers`: do consumers that ignore `version` read the default bank's abilities and linking constants?"""

from __future__ import annotations

from datetime import datetime, timezone

import psycopg
from psycopg.rows import dict_row

from local.home import Home
from local.schema import SQL, use_plugins
from local.status import reachable_database

_MOST_SHOWN = 20


def _time(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def show(home: Home) -> int:
    """List users whose newest ability is another bank's, and the newest fit if it is another bank's.

    :return: 1 if there are any, else 0.
    """
    use_plugins()
    from irt.banks import load_banks

    bank = load_banks().default
    with reachable_database(home) as (_, conninfo), psycopg.connect(conninfo, row_factory=dict_row) as connection:
        parameters = {"default_version": bank.version}
        rows = connection.execute((SQL / "status" / "readers.sql").read_text(), parameters).fetchall()
        fit = connection.execute((SQL / "status" / "newest_fit.sql").read_text(), parameters).fetchone()
    if fit:
        print(f"mirt_fit_meta: the newest row, {fit['run_id']}, has version {fit['version']}, not {bank.version}")
    for row in rows[:_MOST_SHOWN]:
        print(
            f"user {row['user_id']}: the newest ability has version {row['version']} ({_time(row['fitted_at'])}), "
            f"the one of {bank.version} is older ({_time(row['default_fitted_at'])})"
        )
    if len(rows) > _MOST_SHOWN:
        print(f"and {len(rows) - _MOST_SHOWN} more")
    if rows:
        print(f"{len(rows)} users: readers that ignore the version do not get bank {bank.name}'s ability")
        return 1
    if fit:
        return 1
    print(f"bank {bank.name}'s ability (version {bank.version}) is the newest of every user who has one")
    return 0
