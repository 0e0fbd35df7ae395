"""Runs the chain of one bank, each task in a new process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil
from rich.table import Table

from local.home import DATABASE_CONNECTION, ROOT
from local.stack import Stack


@dataclass(frozen=True)
class Step:
    """:ivar cpu_seconds: processor time of the step's process and of PostgreSQL; on a busy machine more reliable than
    seconds.
    :ivar overhead: seconds of the process outside the step: its start, imports and end.
    """

    name: str
    seconds: float
    cpu_seconds: tuple[float, float]
    overhead: float
    peak_bytes: int
    value: Any


class Night:
    """One run of a bank on a database of the benchmark.

    :param bank: its settings, as in banks.yaml.
    """

    def __init__(self, stack: Stack, database: str, bank: dict[str, Any], *, run_id: str, end: datetime) -> None:
        self._postgres = psutil.Process(stack.supervisor.children["postgres"][1].pid)
        self._folder = stack.home.path / "tasks"
        self._folder.mkdir(exist_ok=True)
        staging = stack.home.staging.as_uri()
        self._run = {"bank": bank, "run_id": run_id, "end": end.isoformat(), "staging": staging}
        self._env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._env |= stack.airflow_env()
        self._env |= {
            DATABASE_CONNECTION: json.dumps(stack.postgres.airflow_connection() | {"schema": database}),
            # How long a deferred task waits for Airflow's supervisor (see the trigger).
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "0",
            # Compiled modules, as an installed Airflow has them.
            "PYTHONPYCACHEPREFIX": str(stack.home.path / "pycache"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
        }

    def task(self, step: str, given: Any = None) -> Step:
        """:raise SystemExit: the task failed; the message has the last lines of its log."""
        order, result, log = (self._folder / name for name in ("order.json", "result.json", "log"))
        order.write_text(json.dumps({"run": self._run, "input": given}))
        command = [sys.executable, "-m", "bench.task", step, str(order), str(result)]
        began, server = time.perf_counter(), server_cpu(self._postgres)
        with log.open("wb") as text:
            failed = subprocess.run(command, env=self._env, stdout=text, stderr=text).returncode
        whole = time.perf_counter() - began
        if failed:
            raise SystemExit(f"irt bench: {step} failed:\n" + "\n".join(log.read_text().splitlines()[-15:]))
        done = json.loads(result.read_text())
        cpu = (done["cpu_seconds"], server_cpu(self._postgres) - server)
        return Step(step, done["seconds"], cpu, whole - done["seconds"], done["peak_bytes"], done["value"])


def server_cpu(postgres: psutil.Process) -> float:
    """PostgreSQL's processor seconds, including those of backends that have exited."""
    ended = postgres.cpu_times()
    living = 0.0
    for child in postgres.children():
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            living += times.user + times.system
    return ended.children_user + ended.children_system + living


def steps_table(steps: list[Step], rows: dict[str, tuple[int, str]], before: dict[str, float] | None = None) -> Table:
    """:param rows: for some steps, the number of rows they handle and what these are.
    :param before: seconds of some steps at an earlier commit.
    """
    table = Table(box=None, pad_edge=False)
    before = before or {}
    for head in ("step", "before", "seconds", "share", "CPU s", "PostgreSQL's", "peak, MB", "rows per second"):
        table.add_column(head, justify="left" if head == "step" else "right")
    whole = sum(step.seconds for step in steps)
    for step in steps:
        count, what = rows.get(step.name, (0, ""))
        rate = f"{count / step.seconds:,.0f} {what}" if count else ""
        share, peak = f"{100 * step.seconds / whole:.1f} %", f"{step.peak_bytes / 1e6:,.0f}"
        was = f"{before[step.name]:.2f}" if step.name in before else ""
        table.add_row(step.name, was, f"{step.seconds:.2f}", share, *_cells(step.cpu_seconds), peak, rate)
    cpu = [sum(each) for each in zip(*(step.cpu_seconds for step in steps), strict=True)]
    table.add_row(
        "all",
        f"{sum(before.values()):.2f}" if before else "",
        f"{whole:.2f}",
        "100.0 %",
        *_cells(cpu),
        f"{max(step.peak_bytes for step in steps) / 1e6:,.0f}",
        "",
    )
    return table


def plain(steps: list[Step]) -> list[dict[str, Any]]:
    keep = ("name", "seconds", "cpu_seconds", "overhead", "peak_bytes")
    return [{name: getattr(step, name) for name in keep} for step in steps]


def _cells(seconds: Sequence[float]) -> list[str]:
    return [f"{each:.2f}" for each in seconds]
