"""Compares the engine with its peers on the same data: seconds of the fit alone, peak memory, and differences."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from bench.cases import CASES, Case, write
from bench.goals import COMMIT, FITS_BEFORE
from bench.large import measure as measure_large
from bench.memory import high_water
from bench.peers import ENGINES, Engine, install_r
from bench.shards import LARGE_CASES, LargeCase
from irt_engine import Responses
from irt_engine.estimation.posteriors import group_starts
from irt_engine.kernels import expectation, tables
from irt_engine.kernels.threads import run as run_kernel
from irt_engine.model.quadrature import Quadrature

OURS = "irt-engine"
# Share of the machine's memory that one engine may take.
_MOST_MEMORY = 0.85
_POLL_SECONDS = 0.05


@dataclass
class Outcome:
    """One engine's outcome on one case; `failure` says why there are no figures."""

    engine: str
    failure: str = ""
    peak_bytes: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    loglik: float = float("nan")

    @property
    def seconds(self) -> float:
        return statistics.median(self.figures["seconds"])


def run(arguments: argparse.Namespace) -> int:
    chosen, engines = _chosen(arguments.cases, CASES | LARGE_CASES), _chosen(arguments.engines, ENGINES)
    if chosen is None or engines is None:
        return 0
    cases = [case for case in chosen.values() if isinstance(case, Case)]
    large = [case.name for case in chosen.values() if isinstance(case, LargeCase)] if arguments.cases else []
    state = Path(os.environ.get("IRT_HOME", ".irt")).resolve() / "bench"
    state.mkdir(parents=True, exist_ok=True)
    console = Console(width=max(100, Console().width))
    console.print(f"{os.cpu_count()} processors, {psutil.virtual_memory().total / 2**30:.0f} GiB; fit alone, median")
    figures: dict[str, Any] = {}
    if cases:
        figures |= _plain(_compare(cases, list(engines.values()), state, console, arguments))
    if large:
        figures |= measure_large(large, state, console)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 0


def _compare(
    cases: list[Case], engines: list[Engine], state: Path, console: Console, arguments: argparse.Namespace
) -> dict[str, list[Outcome]]:
    install_r()
    results: dict[str, list[Outcome]] = {}
    for case in cases:
        folder = write(case, state / "data")
        results[case.name] = [
            _measure(engine, case, folder, state, arguments.limit, arguments.repeat) for engine in engines
        ]
        _evaluate(results[case.name], folder)
        console.print(_table(case, results[case.name]))
    console.print(_phases(results))
    if "12k" in results and OURS in {engine.name for engine in engines}:
        console.print(f"command line, cold start with a warm compile cache, 12k: {_cold_start(state):.2f} s")
    for engine in engines:
        if engine.note:
            console.print(f"{engine.name}: {engine.note}")
    return results


def _chosen(names: str | None, known: dict[str, Any]) -> dict[str, Any] | None:
    if names is None:
        return known
    if names == "help":
        for name, entry in known.items():
            print(f"{name:12} {entry if isinstance(entry, (Case, LargeCase)) else ''}")
        return None
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in known:
            raise SystemExit(f"irt bench: unknown name {name!r}; choose from {', '.join(known)}")
    return {name: known[name] for name in chosen}


def _measure(engine: Engine, case: Case, folder: Path, state: Path, limit: float, repeat: int) -> Outcome:
    memory = psutil.virtual_memory().total
    if case.cells * engine.bytes_per_cell > _MOST_MEMORY * memory:
        return Outcome(engine.name, f"its matrices would need {case.cells * engine.bytes_per_cell / 2**30:.0f} GiB")
    command = engine.command(state)
    if command is None:
        return Outcome(engine.name, "not installed")
    with tempfile.TemporaryDirectory() as scratch:
        out, log = Path(scratch) / "out.json", Path(scratch) / "log"
        with log.open("wb") as text:
            process = subprocess.Popen([*command, str(folder), str(repeat), str(out)], stdout=text, stderr=text)
            failure, peak = _watch(process, limit, _MOST_MEMORY * memory)
        if failure or process.returncode:
            lines = log.read_text(errors="replace").strip().splitlines()
            return Outcome(engine.name, failure or (lines[-1] if lines else f"status {process.returncode}"), peak)
        return Outcome(engine.name, "", peak, json.loads(out.read_text()))


def _watch(process: subprocess.Popen[bytes], limit: float, most_bytes: float) -> tuple[str, int]:
    """Why it was killed (empty if it was not), and its peak memory."""
    watched, peak, deadline = psutil.Process(process.pid), 0, time.monotonic() + limit
    while process.poll() is None:
        try:
            info = watched.memory_info()
            # The kernel's own peak, where available, misses nothing between two polls.
            peak = max(peak, info.rss, high_water(process.pid))
        except psutil.NoSuchProcess:
            break
        if peak > most_bytes:
            process.kill()
            process.wait()
            return f"out of memory at {peak / 2**30:.1f} GiB", peak
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return f"not finished after {limit:.0f} s", peak
        time.sleep(_POLL_SECONDS)
    process.wait()
    return "", peak


def _evaluate(outcomes: list[Outcome], folder: Path) -> None:
    """Compute the marginal log-likelihood at each engine's estimates, with the same program on the same grid."""
    done = [outcome for outcome in outcomes if outcome.figures]
    if not done:
        return
    responses = Responses.from_parquet(folder / "responses.parquet")
    quadrature = Quadrature.normal(61, -6.0, 6.0)
    for outcome in done:
        a, d, c = (np.asarray(outcome.figures[name], float) for name in "adc")
        if not a.size == d.size == c.size == responses.n_items:
            raise SystemExit(f"irt bench: {outcome.engine} returned {a.size} of {responses.n_items} items")
        outcome.loglik = _loglik(responses, quadrature, a, d, c)


def _loglik(responses: Responses, quadrature: Quadrature, a: np.ndarray, d: np.ndarray, c: np.ndarray) -> float:
    table = np.empty((2 * a.size, quadrature.nodes.size))
    run_kernel(tables.fill_log_probability, a, d, c, quadrature.nodes, table, work=1e9)
    starts = group_starts(responses.offsets, 4)
    part, counts = np.zeros((4, *table.shape)), np.zeros((4, *table.shape))
    loglik = np.zeros(4)
    run_kernel(
        expectation.estep, responses.offsets, responses.codes, starts, 1, table, quadrature.nodes,
        quadrature.log_weights, part, counts, loglik, np.empty((0, 3)), work=1e9, parts=4,
    )  # fmt: skip
    return float(loglik.sum())


def _table(case: Case, outcomes: list[Outcome]) -> Table:
    table = Table(title=f"[bold]{case.name}[/bold]: {case}", title_justify="left", box=None, pad_edge=False)
    for name in ("engine", "fit, s", "ratio", "peak, MB", "iterations", "log-likelihood", "Δ a", "Δ d"):
        table.add_column(name, justify="left" if name == "engine" else "right")
    ours = next((outcome for outcome in outcomes if outcome.engine == OURS and outcome.figures), None)
    for outcome in outcomes:
        if outcome.failure:
            table.add_row(outcome.engine, outcome.failure, *[""] * 6)
            continue
        figures = outcome.figures
        ratio = f"× {outcome.seconds / ours.seconds:.1f}" if ours else ""
        apart = [f"{_apart(figures, ours.figures, name):.1e}" if ours and ours is not outcome else "" for name in "ad"]
        iterations = figures["iterations"]
        table.add_row(
            f"{outcome.engine} {figures['version']}", f"{outcome.seconds:.3f}", ratio,
            f"{outcome.peak_bytes / 1e6:,.0f}", "" if iterations is None else str(iterations),
            f"{outcome.loglik:,.4f}", *apart,
        )  # fmt: skip
    return table


def _apart(one: dict[str, Any], other: dict[str, Any], name: str) -> float:
    return float(np.abs(np.subtract(one[name], other[name])).max())


def _phases(results: dict[str, list[Outcome]]) -> Table:
    """Where this engine's time goes, and its time per answer."""
    table = Table(title="[bold]irt-engine[/bold], seconds by phase", title_justify="left", box=None, pad_edge=False)
    names = ("fit", "standard_errors", "scores", "item_fit")
    for name in ("case", f"fit at {COMMIT}", *(name.replace("_", " ") for name in names), "ns of fit per answer"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for name, outcomes in results.items():
        for outcome in outcomes:
            if outcome.engine == OURS and outcome.figures:
                medians = [statistics.median(run[phase] for run in outcome.figures["phases"]) for phase in names]
                cells = [f"{seconds:.3f}" for seconds in medians]
                before = f"{FITS_BEFORE[name]:.3f}" if name in FITS_BEFORE else ""
                table.add_row(name, before, *cells, f"{1e9 * medians[0] / CASES[name].size:.0f}")
    return table


def _cold_start(state: Path) -> float:
    """Seconds from the start of the process to the result on disk, median of five."""
    seconds = []
    with tempfile.TemporaryDirectory() as scratch:
        source, out = state / "data" / "12k" / "responses.parquet", Path(scratch) / "out.json"
        command = [sys.executable, "-m", "irt_engine.cli", "calibrate", str(source), "--out", str(out)]
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _plain(results: dict[str, list[Outcome]]) -> dict[str, list[dict[str, Any]]]:
    keep = ("version", "seconds", "phases", "iterations", "converged")
    return {
        name: [
            {"engine": o.engine, "failure": o.failure, "peak_bytes": o.peak_bytes, "loglik": o.loglik}
            | {key: o.figures[key] for key in keep if key in o.figures}
            for o in outcomes
        ]
        for name, outcomes in results.items()
    }
