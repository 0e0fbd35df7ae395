"""The whole chain of one bank: seconds and memory of every step, and extraction against PostgreSQL's own COPY."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.attempts import END, TOPIC, WINDOW, prepare
from bench.cases import Case
from bench.goals import BEFORE, COMMIT, verdict
from bench.memory import Peak
from bench.night import Night, Step, plain, server_cpu, steps_table
from local.schema import use_plugins
from local.stack import Stack

# Larger banks are calibrated as a pod does it, without an HTTP body.
_MOST_BY_SERVICE = 20_000_000

# The rows and columns that the extraction reads.
_ATTEMPTS = {
    "window_start": (END - WINDOW).isoformat(),
    "window_end": END.isoformat(),
    "topics": [TOPIC],
    "exam_ids": [],
    # As `reads_attempt_no` finds in the benchmark's view.
    "read_attempt_no": False,
}


def measure(stack: Stack, console: Console, case: Case, run_id: str) -> dict[str, Any]:
    console.print(f"[dim]{case.name}: filling the database if it is new[/dim]")
    database = prepare(stack.postgres, case)
    # The first copy warms the cache, so that extraction finds it warm as well.
    copies = [_copy(stack, database) for _ in range(4)][1:]
    bank = {"name": "bench", "topics": [TOPIC], "model": case.model}
    night = Night(stack, database, bank, run_id=run_id, end=END)
    steps = [night.task("extract_responses"), night.task("extract_anchors")]
    by_service = case.size <= _MOST_BY_SERVICE
    calibrated, service_peak = (_calibrate if by_service else _calibrate_as_a_pod)(stack, night)
    steps += calibrated
    steps += [night.task(name) for name in ("load", "check", "publish")]
    counts = steps[0].value
    rows = {"extract_responses": (counts["attempts"], "attempts"), "publish": (counts["users"], "abilities")}
    rows["load"] = rows["publish"]
    title = f"[bold]{case.name}[/bold]: {counts['attempts']:,} attempts, {counts['responses']:,} responses; {case}"
    console.print(title)
    before = BEFORE[case.name].seconds if case.name in BEFORE else {}
    console.print(steps_table(steps, rows, before))
    figures = _figures(steps, copies, service_peak) | {"counts": counts}
    console.print(_goals(case.name, figures))
    console.print(_more(figures))
    return figures


def _copy(stack: Stack, database: str) -> tuple[float, float]:
    """Wall seconds, and PostgreSQL's processor seconds."""
    use_plugins()
    from irt.sql import literal, statement

    postgres = psutil.Process(stack.supervisor.children["postgres"][1].pid)
    copy = f"copy ({literal(statement('extract/attempts'), _ATTEMPTS)}) to stdout"
    command = [str(stack.postgres.psql()), stack.postgres.conninfo(database), "-X", "-q", "-c", copy]
    began, worked = time.perf_counter(), server_cpu(postgres)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, server_cpu(postgres) - worked


def _calibrate(stack: Stack, night: Night) -> tuple[list[Step], int]:
    """Send, wait as the triggerer does, and read the result; also returns the service's peak memory meanwhile."""
    peak = Peak(psutil.Process(stack.supervisor.children["service"][1].pid))
    try:
        sent = night.task("calibrate: send, wait")
        if sent.value["event"]["status"] != "succeeded":
            raise SystemExit(f"irt bench: the calibration {sent.value['event']}")
        read = night.task("calibrate: read", sent.value)
    finally:
        highest = peak.end()
    seconds = sent.value["sent_seconds"]
    parts = (("calibrate: send", seconds), ("calibrate: wait", sent.seconds - seconds))
    halves = {"overhead": sent.overhead / 2, "cpu_seconds": tuple(each / 2 for each in sent.cpu_seconds)}
    send, wait = (replace(sent, name=name, seconds=seconds, **halves) for name, seconds in parts)
    return [send, wait, read], highest


def _calibrate_as_a_pod(stack: Stack, night: Night) -> tuple[list[Step], int]:
    """What the task does for `runtime: pod`, and the pod's command as a process of this machine, with its peak memory.

    Kubernetes, which would start the pod, is left out.
    """
    asked = night.task("calibrate: ask a pod")
    began = time.perf_counter()
    pod = subprocess.Popen([sys.executable, "-m", "irt_engine.cli", *asked.value["arguments"]], stderr=subprocess.PIPE)
    peak = Peak(psutil.Process(pod.pid))
    _, told = pod.communicate()
    highest, seconds = peak.end(), time.perf_counter() - began
    if pod.returncode:
        raise SystemExit(f"irt bench: the calibration: {told.decode().splitlines()[-1]}")
    ran = replace(asked, name="calibrate: pod", seconds=seconds, overhead=0.0, peak_bytes=highest)
    return [asked, ran, night.task("calibrate: read from a pod", asked.value)], highest


def _figures(steps: list[Step], copies: list[tuple[float, float]], service_peak: int) -> dict[str, Any]:
    copy, copy_cpu = (statistics.median(each) for each in zip(*copies, strict=True))
    read = next((step.seconds for step in steps if step.name == "calibrate: read"), None)
    return {
        "read_seconds": read,
        "steps": plain(steps),
        "seconds": sum(step.seconds for step in steps),
        "overhead": sum(step.overhead for step in steps),
        "copy_seconds": copy,
        "copy_cpu_seconds": copy_cpu,
        "copy_rate": copy / steps[0].seconds,
        "extraction_bytes": steps[0].peak_bytes,
        "peak_bytes": max(step.peak_bytes for step in steps),
        "service_peak_bytes": service_peak,
    }


def _goals(case: str, figures: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in ("", f"before ({COMMIT})", "now", "goal"):
        table.add_column(head, justify="right" if head in (f"before ({COMMIT})", "now") else "left")
    for row in verdict(case, figures):
        table.add_row(*row)
    return table


def _more(figures: dict[str, Any]) -> str:
    return (
        f"COPY of the same rows to psql: {figures['copy_seconds']:.2f} s (median of 3; PostgreSQL's CPU "
        f"{figures['copy_cpu_seconds']:.2f} s)\n"
        f"besides {figures['overhead']:.1f} s for starting the processes and importing Airflow; peak of a task "
        f"{figures['peak_bytes'] / 1e6:,.0f} MB, of the calibration with its workers "
        f"{figures['service_peak_bytes'] / 1e6:,.0f} MB\n"
    )
