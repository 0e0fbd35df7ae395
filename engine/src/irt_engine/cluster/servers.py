"""The scheduler and the workers of a Dask cluster, started with this package's environment."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def run_server(name: str, *options: str) -> int:
    """Run `dask-scheduler` or `dask-worker` until it is stopped.

    :param options: of Dask's own command of that name.
    :return: its exit status; 1 if Dask is not installed.
    """
    try:
        command: Any = import_module(f"distributed.cli.{name.replace('-', '_')}").main
    except ModuleNotFoundError as error:
        print(f"irt-engine: {name} needs the package {error.name}: pip install irt-engine[dask]", file=sys.stderr)
        return 1
    try:
        command(list(options), prog_name=f"irt-engine {name}")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
