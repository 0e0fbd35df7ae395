"""The scheduler and the workers of a Dask cluster, started with this package's environment."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def run_server(name: str, *options: str) -> int:
    """Run `dask-scheduler` or `dask-worker` until it is stopped.

    :param options: of Dask's own command of that name.
    :return: its exit status.
    """
    command: Any = import_module(f"distributed.cli.{name.replace('-', '_')}").main
    try:
        command(list(options), prog_name=f"irt-engine {name}")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
