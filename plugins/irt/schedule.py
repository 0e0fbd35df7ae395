"""When the nightly DAG runs, and since when a calibration is missing."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

# 03:00 UTC, 12:00 KST.
NIGHTLY = os.environ.get("IRT_SCHEDULE") or "0 3 * * *"
# A night may take so long before it is late.
DEADLINE = timedelta(hours=3)


def expected_since(as_of: datetime, schedule: str = NIGHTLY) -> datetime:
    """The last time at which a run should have begun that should have ended by now.

    :param schedule: five fields of cron, in UTC.
    :raise ValueError: they are not.
    """
    from croniter import croniter

    return croniter(schedule, as_of - DEADLINE).get_prev(datetime)
