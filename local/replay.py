"""`./irt replay RUN_KEY`: calibrates a run's staged inputs again and compares the result with its receipt."""

from __future__ import annotations

import os

from local.home import Home, engine_env
from local.schema import use_plugins
from local.status import reachable_database


def run(home: Home, run_key: str, *, threads: int | None) -> int:
    """:return: the exit status (see `irt.replay`)."""
    use_plugins()
    from irt.replay import replay

    for name, value in engine_env(home).items():
        os.environ.setdefault(name, value)
    with reachable_database(home) as (_, conninfo):
        return replay(conninfo, run_key, threads=threads)
