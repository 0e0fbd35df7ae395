"""Compares the two calibration services on the same answers: seconds from request to result, memory, differences."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from bench.cases import CASES, Case, write
from bench.memory import Peak
from bench.served import Served
from local import r_service
from local.home import default_home


@dataclass(frozen=True)
class Outcome:
    name: str
    seconds: float
    peak_bytes: int
    result: dict[str, Any]
    timings: dict[str, float]


def run(names: str) -> int:
    home, console = default_home(), Console(width=max(120, Console().width))
    r_service.install(home)
    state = home.path / "bench"
    for name in names.split(","):
        case = CASES[name.strip()]
        columns = _columns(write(case, state / "data"))
        outcomes = [_measure("irt-engine", None, columns, case)]
        outcomes += [_measure(f"R, {engine}", engine, columns, case) for engine in _r_engines(home)]
        console.print(_table(case, outcomes))
    return 0


def _columns(folder: Path) -> dict[str, list[Any]]:
    table = pq.read_table(folder / "responses.parquet")
    return {name: table[name].to_pylist() for name in ("user_id", "item_id", "is_correct")}


def _r_engines(home: Any) -> list[str]:
    """The R engines that are installed."""
    expression = "cat(Filter(function(p) nzchar(system.file(package = p)), c('OpenMx', 'mirt')))"
    environment = os.environ | r_service.environment(home)
    command = ["Rscript", "--vanilla", "-e", expression]
    installed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [name.lower() for name in installed.stdout.split()]


def _measure(name: str, engine: str | None, columns: dict[str, list[Any]], case: Case) -> Outcome:
    with tempfile.TemporaryDirectory() as folder, Served(engine, Path(folder)) as service:
        few = {key: values[:3000] for key, values in columns.items()}
        service.result({"observations": few, "model": "Rasch"})
        peak = Peak(service.process)
        started = time.perf_counter()
        result, timings = service.result({"observations": columns, "model": case.model})
        seconds = time.perf_counter() - started
        return Outcome(name, seconds, peak.end(), result, timings)


def _table(case: Case, outcomes: list[Outcome]) -> Table:
    table = Table(title=f"[bold]{case.name}[/bold]: {case}", title_justify="left", box=None, pad_edge=False)
    heads = (
        "service",
        "request to result, s",
        "ratio",
        "fit, s",
        "peak, MB",
        "log-likelihood",
        "Δ a",
        "Δ b",
        "Δ SE b, %",
        "Δ θ",
    )
    for head in heads:
        table.add_column(head, justify="left" if head == "service" else "right")
    first = outcomes[0]
    for outcome in outcomes:
        differences = [""] * 4 if outcome is first else [
            f"{_apart(outcome, first, 'params', 'a'):.1e}", f"{_apart(outcome, first, 'params', 'b'):.1e}",
            f"{100 * _apart(outcome, first, 'se', 'b', relative=True):.2f}", f"{_theta_apart(outcome, first):.1e}",
        ]  # fmt: skip
        engine = outcome.result["fit_meta"]["model_spec"]["engine"]
        table.add_row(
            f"{outcome.name} {engine['version']}", f"{outcome.seconds:.2f}", f"× {outcome.seconds / first.seconds:.1f}",
            f"{outcome.timings['fit']:.2f}", f"{outcome.peak_bytes / 1e6:,.0f}",
            f"{outcome.result['fit_meta']['metrics']['loglik']:,.5f}", *differences,
        )  # fmt: skip
    return table


def _apart(one: Outcome, other: Outcome, group: str, name: str, *, relative: bool = False) -> float:
    values = [np.array([row[group][name] or 0.0 for row in o.result["item_params"]]) for o in (one, other)]
    difference = np.abs(values[0] - values[1])
    return float((difference / np.maximum(values[1], 1e-9) if relative else difference).max())


def _theta_apart(one: Outcome, other: Outcome) -> float:
    return max(
        abs(x["theta"] - y["theta"]) for x, y in zip(one.result["abilities"], other.result["abilities"], strict=True)
    )
