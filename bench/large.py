"""Large banks through `irt-engine calibrate`: seconds by phase and memory, from a folder of shards to the result."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.goals import MEMORY_GOAL, RATIO_GOAL
from bench.memory import high_water
from bench.shards import LARGE_CASES, LargeCase, write_shards

SMALLEST = "10M-shards"
_PHASES = ("read", "fit", "standard errors", "item fit", "write")
_SECONDS = re.compile(r"([a-z_ ]+?) ([0-9.]+) s")


@dataclass(frozen=True)
class Measured:
    """:ivar seconds: from the start of the process to its end; `phases`, as the command prints them."""

    case: LargeCase
    seconds: float
    phases: dict[str, float]
    peak_bytes: int

    @property
    def nanoseconds(self) -> float:
        """Per answer."""
        return 1e9 * self.seconds / self.case.size


def measure(names: list[str], state: Path, console: Console) -> dict[str, Any]:
    """Calibrate the cases, and first 10 million answers, to which the others are compared."""
    found: list[Measured] = []
    for name in sorted({SMALLEST, *names}, key=lambda name: LARGE_CASES[name].size):
        case = LARGE_CASES[name]
        console.print(f"[dim]{name}: drawing the shards if they are new[/dim]")
        folder = write_shards(case, state / "data", os.cpu_count() or 1)
        found.append(_calibrate(case, folder))
    console.print(_table(found))
    largest = found[-1]
    ratio = largest.nanoseconds / found[0].nanoseconds
    console.print(
        f"{largest.case.name}: {largest.peak_bytes / 2**30:.1f} GiB, goal {MEMORY_GOAL:.0f} GiB at 1G: "
        f"{_word(largest.peak_bytes < MEMORY_GOAL * 2**30)}; time per answer {ratio:.2f} × that of 10M, goal "
        f"{RATIO_GOAL} at 1G: {_word(ratio <= RATIO_GOAL)}"
    )
    return {
        each.case.name: {"seconds": each.seconds, "phases": each.phases, "peak_bytes": each.peak_bytes}
        for each in found
    }


def _calibrate(case: LargeCase, folder: Path) -> Measured:
    """:raise SystemExit: the command failed."""
    with tempfile.TemporaryDirectory() as scratch:
        out, abilities, log = (Path(scratch) / name for name in ("result.json", "abilities.parquet", "log"))
        command = [sys.executable, "-m", "irt_engine.cli", "calibrate", str(folder), "--out", str(out)]
        began = time.perf_counter()
        with log.open("wb") as text:
            process = subprocess.Popen([*command, "--abilities-out", str(abilities)], stderr=text)
            peak = _watched(process)
        seconds = time.perf_counter() - began
        lines = log.read_text().splitlines()
        if process.returncode:
            raise SystemExit(f"irt bench: {case.name}: {lines[-1] if lines else process.returncode}")
        spec = json.loads(out.read_text())["fit_meta"]["model_spec"]
        if spec["n_observations"] != case.size:
            raise SystemExit(f"irt bench: {case.name}: {spec['n_observations']} answers were read, not {case.size}")
    return Measured(case, seconds, {name.strip(): float(value) for name, value in _SECONDS.findall(lines[-1])}, peak)


def _watched(process: subprocess.Popen[bytes]) -> int:
    """Its peak memory: pages of its own and of mapped files."""
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, high_water(process.pid), psutil.Process(process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.1)
    process.wait()
    return peak


def _table(found: list[Measured]) -> Table:
    table = Table(title="[bold]Large banks[/bold], seconds", title_justify="left", box=None, pad_edge=False)
    for name in ("case", *_PHASES, "all", "ns per answer", "peak, GiB"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for each in found:
        cells = [f"{each.phases.get(phase, 0.0):.1f}" for phase in _PHASES]
        table.add_row(
            each.case.name, *cells, f"{each.seconds:.1f}",
            f"{each.nanoseconds:.0f}", f"{each.peak_bytes / 2**30:.1f}",
        )  # fmt: skip
    return table


def _word(met: bool) -> str:
    return "met" if met else "missed"
