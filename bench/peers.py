"""The engines to measure, and how to find or install each.

Peers run on 61 nodes and may use every processor. Their tolerance is the loosest power of ten at which they come as
close to the maximum as this project's tests require of its own engine: a log-likelihood within about 1e-4.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_DEBIAN = ("r-base-core", "r-cran-openmx", "r-cran-rpf", "r-cran-jsonlite")


@dataclass(frozen=True)
class Engine:
    """:ivar command: the command that runs it (without the runner's arguments), or None if it is not installed.
    :ivar bytes_per_cell: memory per cell of its dense users × items matrix; 0 if it has none.
    """

    name: str
    command: Callable[[Path], list[str] | None]
    bytes_per_cell: float = 0.0
    note: str = ""


def _ours(_: Path) -> list[str]:
    return [sys.executable, str(HERE / "runners" / "ours.py")]


def _pypi(script: str) -> Callable[[Path], list[str] | None]:
    return lambda state: [str(_environment(state) / "bin" / "python"), str(HERE / "runners" / script)]


def _r(script: str, *packages: str) -> Callable[[Path], list[str] | None]:
    def command(_: Path) -> list[str] | None:
        rscript = shutil.which("Rscript")
        if rscript is None or not _has_r_packages(rscript, packages):
            return None
        return [rscript, "--vanilla", str(HERE / "runners" / script)]

    return command


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("irt-engine", _ours),
        Engine("OpenMx", _r("openmx.R", "OpenMx", "rpf", "jsonlite"), 16.0),
        Engine(
            "PyPI mirt", _pypi("pypi_mirt.py"), 24.0,
            "with a prior on guessing, or equal slopes, it cannot use its compiled code",
        ),
        Engine("girth", _pypi("girth_mml.py"), 32.0, "its estimates are approximate: see the differences"),
        Engine("R mirt", _r("mirt.R", "mirt", "jsonlite"), 80.0),
    )
}  # fmt: skip


def _environment(state: Path) -> Path:
    """The virtual environment with the peers from PyPI, made if it is missing or out of date."""
    folder = state / "peers"
    stamp = (HERE / "peers.txt").read_text()
    done = folder / "stamp"
    if not done.exists() or done.read_text() != stamp:
        print("irt bench: installing the peers from PyPI into their own environment", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(HERE / "peers.txt")], check=True)
        done.write_text(stamp)
    return folder


def install_r() -> None:
    """Install Debian's R with OpenMx if it is missing and we have root and apt-get."""
    rscript = shutil.which("Rscript")
    if rscript and _has_r_packages(rscript, ("OpenMx", "rpf", "jsonlite")):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("irt bench: installing R with OpenMx from the distribution's packages", file=sys.stderr)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["apt-get", "update"], check=False, **quiet)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "install", "-y", *_DEBIAN], check=False, env=environment, **quiet)


def _has_r_packages(rscript: str, packages: tuple[str, ...]) -> bool:
    wanted = ", ".join(f'"{package}"' for package in packages)
    check = f"quit(status = !all(c({wanted}) %in% rownames(installed.packages())))"
    return subprocess.run([rscript, "--vanilla", "-e", check], capture_output=True).returncode == 0
