"""Runs the chain of tasks on a PostgreSQL and a calibration service that it starts and stops itself."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from typing import Any

import psutil
from rich.console import Console

from bench import chain, publication
from bench.attempts import END
from bench.cases import CASES, LARGEST
from bench.night import Night
from local.home import DATABASE_CONNECTION, SERVICE_CONNECTION, Home, default_home
from local.postgres import DATABASE
from local.stack import running_stack

PUBLICATION = "publication"
_CASES = CASES | {LARGEST.name: LARGEST}


def run(arguments: argparse.Namespace) -> int:
    names = [name.strip() for name in arguments.cases.split(",")]
    for name in names:
        if name not in (PUBLICATION, *_CASES):
            raise SystemExit(f"irt bench: unknown case {name!r}; choose from {', '.join((PUBLICATION, *_CASES))}")
    # The benchmark writes, so it must never use a configured database.
    for connection in (DATABASE_CONNECTION, SERVICE_CONNECTION):
        os.environ.pop(connection, None)
    upserts = arguments.upserts or arguments.abilities
    console = Console(width=max(110, Console().width))
    figures: dict[str, Any] = {}
    with running_stack(bench_home(), say=lambda text: None) as stack:
        console.print(
            f"{os.cpu_count()} processors, {psutil.virtual_memory().total / 2**30:.0f} GiB, load "
            f"{os.getloadavg()[0]:.1f}; every task in a fresh process, seconds of the operator alone\n"
        )
        Night(stack, DATABASE, publication.BANK, run_id="imports", end=END).task("imports")
        for name in names:
            if name == PUBLICATION:
                figures[name] = publication.measure(stack, console, arguments.abilities, upserts)
            else:
                figures[name] = chain.measure(stack, console, _CASES[name], run_id=f"bench-{time.time_ns()}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 0


def bench_home() -> Home:
    """A separate state folder for the benchmark, except for the compiled kernels."""
    usual = default_home()
    home = Home(usual.path / "bench" / "pipeline")
    for left in (home.staging, home.service):
        shutil.rmtree(left, ignore_errors=True)
    home.path.mkdir(parents=True, exist_ok=True)
    if not home.kernel_cache.exists():
        home.kernel_cache.symlink_to(usual.kernel_cache, target_is_directory=True)
    return home
