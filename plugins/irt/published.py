"""The assets that a publication updates, and the events that tell other DAGs of it.

Each publication of a bank gives one event for each asset, all with the same `extra` (`extra_of`):

- the three tables, for DAGs that want to know of every publication;
- `irt_bank_<bank>`, for DAGs that want one bank;
- `irt_publication`, whose partition key is the bank, for DAGs with one run per bank (`PartitionedAssetTimetable`).

Why not one asset for all: Airflow starts DAGs that are scheduled on an asset as such only for events without a
partition key, and partitioned DAGs only for events with one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetAlias

from irt.sql import statement

TABLES = [
    Asset(table, uri=f"postgres://seedtest_db/seedtest/public/{table}")
    for table in ("mirt_item_params", "mirt_ability", "mirt_fit_meta")
]
PUBLICATION = Asset("irt_publication")
# Which bank a mapped task publishes is known only when it runs, and each asset among its outlets gets an event.
BANK = AssetAlias("irt_bank")
PUBLISHED = [*TABLES, PUBLICATION, BANK]

# An event may carry the time of another clock than the publication that it tells of.
_CLOCKS_DIFFER = timedelta(days=1)


def bank_asset(bank: str) -> Asset:
    return Asset(f"irt_bank_{bank}")


def extra_of(cursor: Any, publication_id: int) -> dict[str, Any]:
    """What the events of a publication say.

    :return: publication_id, kind (calibration, rollback), bank, version, run_key, window_start, window_end,
        published_at (ISO 8601, UTC), verdict (accepted; approved by a person although rejected), checks (passed,
        warnings, failed), counts (responses, users, items, held), slope and intercept (None without linking). A
        rollback has the figures of the run that it returned to.
    """
    row = cursor.execute(statement("publish/event"), {"publication_id": publication_id}).fetchone()
    extra: dict[str, Any] = row[0]
    return extra


def emit(context: Any, extra: dict[str, Any], *, repeated: bool) -> bool:
    """Give the task's events their `extra`; Airflow records them when the task succeeds.

    :param repeated: the publication was made by an earlier try, which may have died before its events were recorded.
    :return: False if they were recorded; then the task must have no outlets, each of which would get an event again.
    """
    if "outlet_events" not in context:
        return True
    if repeated and _is_recorded(context, extra):
        return False
    events = context["outlet_events"]
    for asset in (*TABLES, PUBLICATION):
        events[asset].extra = extra
    events[PUBLICATION].add_partitions(extra["bank"])
    events[BANK].add(bank_asset(extra["bank"]), extra=extra)
    return True


def _is_recorded(context: Any, extra: dict[str, Any]) -> bool:
    since = datetime.fromisoformat(extra["published_at"]) - _CLOCKS_DIFFER
    earlier = context["inlet_events"][PUBLICATION].after(since.isoformat())
    return any(_identity(event.extra) == _identity(extra) for event in earlier)


def _identity(extra: dict[str, Any]) -> tuple[Any, Any]:
    """The id alone is not enough: a database that was set up anew counts from 1 again."""
    return extra.get("publication_id"), extra.get("published_at")
