"""Runs a service through a long day: many jobs, damaged bodies, kills, a second service, jumps of the clock.

The figures after each stage show whether anything grows with the number of jobs that should not.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.clock import Clock, clock_library
from bench.damage import damaged_bodies
from bench.memory import resident
from bench.served import Served
from irt_engine import simulate
from local import r_service
from local.home import default_home

# Long enough to read a job's result, short enough that all results are gone when a stage is measured.
_KEEP_SECONDS = 5
_WARM_UP = 20
# Offsets from the true time, in seconds: a leap second, a day, a time server's correction, an hour, and back.
_JUMPS = (1, 86_400, -90_000, -0.5, 3_600, 0)


@dataclass
class Stage:
    """What was tried, how often each outcome came, and which outcomes are wrong."""

    name: str
    tried: int
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def say(self, outcome: str, *, wrong: bool = False) -> None:
        self.outcomes[outcome] += 1
        if wrong:
            self.wrong.append(outcome)


@dataclass(frozen=True)
class Footprint:
    """Resources used by the service and its descendants; `files` counts those in its state folder."""

    megabytes: float
    descriptors: int
    threads: int
    processes: int
    files: int
    log_bytes: int

    @classmethod
    def of(cls, service: Served) -> Footprint:
        family = [service.process, *service.process.children(recursive=True)]
        files = sum(len(names) for _, _, names in os.walk(service.state))
        return cls(
            sum(map(resident, family)) / 1e6, sum(p.num_fds() for p in family), sum(p.num_threads() for p in family),
            len(family), files, service.log.stat().st_size,
        )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """:return: 1 if any outcome is wrong."""
    console = Console(width=max(130, Console().width))
    wrong = 0
    for name in arguments.services.split(","):
        engine = {"python": None, "r": "openmx"}[name.strip()]
        if engine:
            r_service.install(default_home())
        table, faults = _soak(engine, arguments)
        console.print(table)
        for line in faults:
            console.print(f"  wrong: {line}", style="red")
        wrong += len(faults)
    return 1 if wrong else 0


def _soak(engine: str | None, arguments: argparse.Namespace) -> tuple[Table, list[str]]:
    title = "the Python service" if engine is None else f"the R service ({engine})"
    table, wrong = _table(title), []
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(Path(folder) / "clock")
        place = Path(folder) / "service"
        with Served(engine, place, keep_seconds=_KEEP_SECONDS, env=clock.env()) as service:
            stages: list[Callable[[], Stage]] = [
                lambda: _jobs(service, _WARM_UP, "warm-up"),
                lambda: _jobs(service, arguments.jobs, "jobs"),
                lambda: _damage(service, arguments.damaged),
                lambda: _second(service),
                lambda: _jump(service, clock, arguments.jumps),
                lambda: _kills(service, arguments.kills),
            ]
            for stage in stages:
                began = time.perf_counter()
                came = stage()
                seconds = time.perf_counter() - began
                _settle(service)
                _add(table, came, seconds, Footprint.of(service))
                wrong += [f"{came.name}: {text}" for text in came.wrong]
    return table, wrong


def _request(seed: int = 1) -> dict[str, Any]:
    drawn = simulate(200, 8, 8, model="2PL", seed=seed).observations
    columns = {name: drawn[name].to_pylist() for name in ("user_id", "item_id", "is_correct")}
    return {"observations": columns, "model": "2PL"}


def _jobs(service: Served, number: int, name: str) -> Stage:
    stage, request = Stage(name, number), _request()
    for _ in range(number):
        job = service.ended(service.submit(request))
        stage.say(job["status"], wrong=job["status"] != "succeeded")
    return stage


def _damage(service: Served, number: int) -> Stage:
    """Each body is refused with a reason, or its damage does not matter; the service keeps running."""
    parquet = any("parquet" in kind for kind in service.client.get("/healthz").json()["media_types"])
    stage = Stage("damaged Parquet" if parquet else "damaged gzip", number)
    columns = _request()["observations"]
    for body in damaged_bodies(columns, number, parquet=parquet, seed=1):
        headers = {"Prefer": "respond-async"} | body.pop("headers", {})
        try:
            answer = service.client.post("/irt/calibrate", **body, headers=headers)
        except httpx.HTTPError as error:
            stage.say(type(error).__name__, wrong=True)
            continue
        if answer.status_code == 202:
            stage.say(f"202, {service.ended(answer.headers['location'])['status']}")
        else:
            stage.say(str(answer.status_code), wrong=answer.status_code >= 500)
    return stage


def _second(service: Served) -> Stage:
    """A second service must be refused: two on one folder would run each other's jobs."""
    stage = Stage("a second service on the folder", 1)
    refused = service.refusal()
    stage.say("refused" if refused else "not refused", wrong=not refused)
    return stage


def _jump(service: Served, clock: Clock, number: int) -> Stage:
    """Move the clock during a job; the job must end like any other."""
    stage = Stage("jumps of the clock", number if clock_library() else 0)
    if not stage.tried:
        stage.say("not tried: libfaketime is not installed")
        return stage
    request = _request()
    for index in range(number):
        url = service.submit(request)
        clock.set(_JUMPS[index % len(_JUMPS)])
        try:
            status = service.ended(url)["status"]
        except httpx.HTTPStatusError as error:
            # Results expire by the clock: after a jump of a day they are gone.
            status = "gone" if error.response.status_code == 404 else str(error.response.status_code)
        stage.say(status, wrong=status not in ("succeeded", "gone"))
    clock.set(0)
    return stage


def _kills(service: Served, number: int) -> Stage:
    """Kill the service at a random moment during a job; the restarted service must finish it."""
    stage, rng, request = Stage("kills in a job", number), np.random.default_rng(1), _request()
    began = time.perf_counter()
    service.ended(service.submit(request))
    usual = time.perf_counter() - began
    for index in range(number):
        key = f"kill-{index}"
        with suppress(httpx.HTTPError):
            service.submit(request, **{"Idempotency-Key": key})
            time.sleep(rng.uniform(0, 1.5 * usual))
        service.kill()
        service.start()
        # A client that does not know whether its job was accepted submits it again under the same key.
        job = service.ended(service.submit(request, **{"Idempotency-Key": key}))
        stage.say(job["status"], wrong=job["status"] != "succeeded")
    return stage


def _settle(service: Served) -> None:
    """Wait until expired results are removed; results from before the clock was moved back stay longer."""
    jobs = service.state / "jobs"
    left, since = -1, time.monotonic()
    while left and time.monotonic() - since < 3 * _KEEP_SECONDS:
        time.sleep(0.2)
        now = len(list(jobs.iterdir()))
        if now != left:
            left, since = now, time.monotonic()


def _table(title: str) -> Table:
    table = Table(title=f"[bold]{title}[/bold]", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage")
    for head in ("tried", "seconds", "memory, MB", "descriptors", "threads", "processes", "files", "log, kB"):
        table.add_column(head, justify="right")
    table.add_column("outcomes")
    return table


def _add(table: Table, stage: Stage, seconds: float, now: Footprint) -> None:
    came = ", ".join(f"{name}: {count}" for name, count in stage.outcomes.most_common())
    table.add_row(
        stage.name, str(stage.tried), f"{seconds:.0f}", f"{now.megabytes:,.0f}", str(now.descriptors), str(now.threads),
        str(now.processes), str(now.files), f"{now.log_bytes / 1e3:,.0f}", came,
    )  # fmt: skip
