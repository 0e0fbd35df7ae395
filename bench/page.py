"""Times the views of the page on a large bank: SQL, pictures and HTML, without Airflow's own share of a request."""

from __future__ import annotations

import json
import logging
import os
import time
from statistics import median
from urllib.parse import quote

import psycopg
from rich.console import Console
from rich.table import Table

from bench.nights import fill
from bench.pipeline import bench_home
from local.schema import apply_schema
from local.stack import running_stack

DATABASE = "bench_page"
# Seconds per view.
GOAL = 0.5


def run(items: int, users: int, nights: int, repeat: int) -> int:
    """:return: 1 if a view takes longer than the goal."""
    console = Console(width=max(100, Console().width))
    with running_stack(bench_home(), say=lambda text: None) as stack:
        with psycopg.connect(stack.postgres.conninfo("postgres"), autocommit=True) as server:
            server.execute(f"drop database if exists {DATABASE}")
            server.execute(f"create database {DATABASE}")
        apply_schema(stack.postgres.conninfo(DATABASE))
        with psycopg.connect(stack.postgres.conninfo(DATABASE), autocommit=True) as connection:
            keys = fill(connection, nights=nights, items=items, users=users, anchors=50)
            # As autovacuum does in the hours after a night.
            connection.execute("vacuum analyze")
        os.environ["AIRFLOW_CONN_SEEDTEST_DB"] = json.dumps(stack.postgres.airflow_connection() | {"schema": DATABASE})
        table, slowest = _measure(keys[-1], repeat)
    console.print(f"{items:,} items, {users:,} abilities, {nights} nights")
    console.print(table)
    return 1 if slowest > GOAL else 0


def _measure(run_key: str, repeat: int) -> tuple[Table, float]:
    from fastapi.testclient import TestClient

    from irt.page.access import MAY_READ
    from irt.page.app import application

    # One line per request, which Airflow's logging would print.
    for client in ("httpx", "httpx2"):
        logging.getLogger(client).setLevel(logging.WARNING)
    app = application()
    app.dependency_overrides[MAY_READ.dependency] = lambda: None
    table = Table(box=None, pad_edge=False)
    for name in ("view", "seconds", "kB", ""):
        table.add_column(name, justify="right" if name in ("seconds", "kB") else "left")
    slowest = 0.0
    with TestClient(app) as client:
        for view in (
            "/", "/bank?name=math", f"/run?run={quote(run_key)}", f"/items?run={quote(run_key)}&sort=change_b",
            f"/items.csv?run={quote(run_key)}", "/item?bank=math&item=1000", f"/report?run={quote(run_key)}",
            f"/picture.svg?run={quote(run_key)}&name=change",
        ):  # fmt: skip
            seconds, size = [], 0
            for _ in range(repeat + 1):
                began = time.perf_counter()
                response = client.get(view).raise_for_status()
                seconds.append(time.perf_counter() - began)
                size = len(response.content)
            usual = median(seconds[1:])
            # The report is a file that is written for the request, not a view.
            if view.startswith("/report"):
                table.add_row("/report", f"{usual:.3f}", f"{size / 1000:.0f}", "a file, without a goal")
                continue
            slowest = max(slowest, usual)
            verdict = "" if usual <= GOAL else f"above the goal of {GOAL} s"
            table.add_row(view.split("?")[0], f"{usual:.3f}", f"{size / 1000:.0f}", verdict)
    return table, slowest
