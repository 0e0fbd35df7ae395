"""Times the demo and the parsing of the DAG file, in this checkout and in another commit, in turn."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from local.home import ROOT

# Airflow is the same in both, so it is imported before the clock starts.
_PARSE = """
import importlib.util, sys, time
sys.path.insert(0, "plugins")
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
began = time.process_time()
spec = importlib.util.spec_from_file_location("dag", "dags/irt_calibration_nightly.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(time.process_time() - began)
"""


@dataclass
class Side:
    """One of the two commits: where it is checked out, and its figures in seconds."""

    name: str
    folder: Path
    figures: dict[str, list[float]] = field(default_factory=dict)

    def run(self, code: list[str]) -> tuple[str, float, float]:
        """Run it with this interpreter; returns its output, wall seconds and processor seconds."""
        paths = os.pathsep.join([str(self.folder), str(self.folder / "engine" / "src")])
        env = os.environ | {"PYTHONPATH": paths, "AIRFLOW_HOME": str(self.folder / ".irt" / "bench")}
        before, began = _used(), time.monotonic()
        done = subprocess.run([sys.executable, *code], cwd=self.folder, env=env, capture_output=True, text=True)
        seconds = time.monotonic() - began
        if done.returncode:
            raise SystemExit(f"irt bench: {self.name}: {done.stdout[-1000:]}\n{done.stderr[-1000:]}")
        return done.stdout, seconds, _used() - before

    def add(self, figure: str, value: float) -> None:
        self.figures.setdefault(figure, []).append(value)

    def measure(self) -> None:
        self.add("parse the DAG file, CPU", float(self.run(["-c", _PARSE])[0].splitlines()[-1]))
        _, wall, cpu = self.run(["-m", "local", "demo"])
        self.add("demo, wall", wall)
        self.add("demo, CPU", cpu)


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    with _checkout(arguments.against) as folder:
        sides = [Side("this checkout", ROOT), Side(arguments.against, folder)]
        for side in sides:
            console.print(f"[dim]{side.name}: first run, not counted[/dim]")
            side.run(["-m", "local", "demo"])
        for number in range(arguments.runs):
            for side in sides:
                console.print(f"[dim]{side.name}: run {number + 1} of {arguments.runs}[/dim]")
                side.measure()
    console.print(_table(*sides))
    if arguments.json:
        arguments.json.write_text(json.dumps({side.name: side.figures for side in sides}, indent=2) + "\n")
    return 0


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """Check out another commit to a temporary folder; both commits run with the installed packages."""
    with tempfile.TemporaryDirectory(prefix="irt-bench-") as parent:
        # PostgreSQL's own user must be able to pass through.
        os.chmod(parent, 0o755)
        folder = Path(parent) / "checkout"
        subprocess.run(["git", "clone", "-q", "--no-checkout", str(ROOT), str(folder)], check=True)
        subprocess.run(["git", "-C", str(folder), "checkout", "-q", commit], check=True)
        (folder / ".irt").mkdir()
        (folder / ".irt" / "kernels").symlink_to(ROOT / ".irt" / "kernels", target_is_directory=True)
        yield folder


def _table(ours: Side, other: Side) -> Table:
    table = Table(box=SIMPLE_HEAD, title="medians in seconds")
    for title in ("", other.name, ours.name, "ratio"):
        table.add_column(title, justify="left" if not title else "right")
    for figure in ours.figures:
        before, after = (statistics.median(side.figures[figure]) for side in (other, ours))
        table.add_row(figure, f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}")
    return table


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
