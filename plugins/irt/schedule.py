"""When the nightly DAG runs, and when the last finished run was due."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

# 03:00 UTC, 12:00 KST.
NIGHTLY = os.environ.get("IRT_SCHEDULE") or "0 3 * * *"
# A run that takes longer than this is late.
DEADLINE = timedelta(hours=3)


def expected_since(as_of: datetime, schedule: str = NIGHTLY) -> datetime:
    """The scheduled time of the last run that should have ended by now.

    :param schedule: five cron fields, in UTC.
    :raise ValueError: they are not valid.
    """
    from croniter import croniter

    return croniter(schedule, as_of - DEADLINE).get_prev(datetime)
