"""The figures of each bank as gauges, through Airflow's own metrics (`[metrics]` in its configuration).

They are read from the registry after every step that changes it, and once more by the daily check, because an exporter
that restarts forgets what it was told. The bank, and for some the step, is a tag, so StatsD needs
`statsd_influxdb_enabled`. deploy/observability has rules and a dashboard for them.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats

from irt.reason import reason_of
from irt.sql import statement

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook

log = logging.getLogger(__name__)

# Before the name of a column of status/bank_figures; Airflow puts its own prefix in front.
PREFIX = "irt.bank"
GAUGES = {
    "calibrated_timestamp_seconds": "End of the window of the calibration that consumers read, in seconds since 1970.",
    "rejected": "1 if the last run that ended was rejected, else 0.",
    "items": "Items of the last load that may be published.",
    "held_items": "Items that the last load holds.",
    "users": "Users with an ability in the last load.",
    "slope": "Linking constant A of the last load.",
    "intercept": "Linking constant B of the last load.",
    "checks_failed": "Checks of the last judged load that failed and reject it.",
    "checks_warned": "Checks of the last judged load that did not pass and only warn.",
}
# With the tag `step` as well: one of extract, calibrate, load, check, publish.
STEP_GAUGES = {
    "step_seconds": "How long a step of the last run took.",
    "step_rows": "Rows that a step of the last run read or wrote.",
}

# The limit of a query is 15 s less (irt.hooks.patience).
_LONGEST = timedelta(seconds=20)


def export_figures(database: ArrowPostgresHook, banks: Iterable[str]) -> None:
    """Send the figures of these banks, if metrics are on. Never fails: a task must not end badly for a gauge's sake."""
    try:
        if _are_on():
            for name, value, tags in figures(database, banks):
                stats.gauge(f"{PREFIX}.{name}", value, tags=tags)
    except Exception as error:
        log.warning("the figures were not exported as metrics: %s", reason_of(error))


def figures(database: ArrowPostgresHook, banks: Iterable[str]) -> Iterator[tuple[str, float, dict[str, str]]]:
    """The gauges of these banks: name without prefix, value, tags. What is missing or not finite is left out."""
    impatient = type(database)(postgres_conn_id=database.postgres_conn_id, longest=_LONGEST)
    with impatient.transaction() as cursor:
        cursor.execute(statement("status/bank_figures"), {"banks": json.dumps(list(banks))})
        columns = [column.name for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        bank = {"bank": row["bank"]}
        yield from ((name, row[name], bank) for name in GAUGES if _is_figure(row[name]))
        for name in STEP_GAUGES:
            steps = (row[name] or {}).items()
            yield from ((name, value, bank | {"step": step}) for step, value in steps if _is_figure(value))


def _are_on() -> bool:
    names = ("statsd_on", "statsd_influxdb_enabled", "statsd_datadog_enabled", "otel_on")
    on = {name: bool(conf.getboolean("metrics", name, fallback=False)) for name in names}
    if on["statsd_on"] and not (on["statsd_influxdb_enabled"] or on["statsd_datadog_enabled"]):
        log.warning("metrics: statsd_influxdb_enabled is off; without tags, the banks' figures could not be told apart")
        return False
    return on["statsd_on"] or on["statsd_datadog_enabled"] or on["otel_on"]


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
