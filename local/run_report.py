"""`./irt report RUN_KEY`: writes the report of a run again, from the run tables."""

from __future__ import annotations

from pathlib import Path

from local.home import Home
from local.schema import use_plugins
from local.status import reachable_database


def run(home: Home, run_key: str, *, out: Path | None, language: str) -> int:
    """:return: the exit status."""
    use_plugins()
    from irt.report.command import write_report

    with reachable_database(home) as (_, conninfo):
        return write_report(conninfo, run_key, out=out, language=language)
