"""The R service on this machine: installs its packages and its own R package, and builds the command to start it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from local.debian import CannotInstallError, apt_install
from local.home import ROOT, Home, alone
from local.processes import Command

PACKAGE = ROOT / "services" / "r-irt-plumber"
# The distribution's packages that it needs: these to serve, those of `_TEST` to be tested.
_SERVE = (
    "dpkg-dev", "haproxy", "r-base-core", "r-cran-callr", "r-cran-filelock", "r-cran-httpuv", "r-cran-jsonlite",
    "r-cran-later", "r-cran-matrix", "r-cran-openmx", "r-cran-openssl", "r-cran-plumber", "r-cran-processx",
    "r-cran-promises", "r-cran-ps", "r-cran-rpf",
    # With R's built-in BLAS, standard errors take ten times as long.
    "libopenblas0-pthread",
)  # fmt: skip
# OpenMx loads a package that calls dpkg-architecture without depending on it.
_PROGRAMS = {"dpkg-dev": "dpkg-architecture", "faketime": "faketime", "haproxy": "haproxy"}
# Debian installs haproxy outside an ordinary user's PATH.
_PROGRAM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
_TEST = ("faketime", "r-cran-lintr", "r-cran-roxygen2", "r-cran-testthat")
_R_NAMES = {"base-core": "stats", "matrix": "Matrix", "openmx": "OpenMx"}


class RMissing(RuntimeError):
    """R or one of its packages is missing and could not be installed; the message says what to do."""


def library(home: Home) -> Path:
    """Where this project's own R package is installed."""
    return home.path / "r-library"


def environment(home: Home) -> dict[str, str]:
    paths = [str(library(home)), *filter(None, [os.environ.get("R_LIBS")])]
    return {"R_LIBS": os.pathsep.join(paths)}


def install(home: Home, *, tests: bool = False, say: Callable[[str], None] = print) -> None:
    """Install R, its packages and this project's R package, where missing.

    :raise RMissing: something is missing and cannot be installed, for example without root or apt-get.
    """
    wanted = tuple(dict.fromkeys((*_SERVE, *(_TEST if tests else ()))))
    with alone("r"):
        if missing := _missing(wanted):
            _apt_install(wanted, missing, say)
            if missing := _missing(wanted):
                raise RMissing(f"the R service needs {', '.join(missing)}, which apt-get did not install")
        _install_own(home)


def _install_own(home: Home) -> None:
    stamp = _stamp()
    done = library(home) / "stamp"
    if done.exists() and done.read_text() == stamp:
        return
    library(home).mkdir(parents=True, exist_ok=True)
    command = ["R", "CMD", "INSTALL", "--no-docs", f"--library={library(home)}", str(PACKAGE)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode:
        raise RMissing(f"the R package could not be installed:\n{built.stderr[-2000:]}")
    done.write_text(stamp)


def command(home: Home, *, host: str, port: int, state: Path, port_file: Path | None, token: str) -> Command:
    """The command that starts the service; the token is only in its environment."""
    file = "NULL" if port_file is None else f"'{port_file}'"
    expression = f"irtplumber::serve('{host}', {port}L, '{state}', {file})"
    settings = environment(home) | {"IRT_SERVICE_TOKEN": token}
    return Command("r-service", ["Rscript", "--vanilla", "-e", expression], env=settings)


def _missing(packages: tuple[str, ...]) -> list[str]:
    """The distribution's packages whose R package or program is missing; one from another source counts as present."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return list(packages)
    names = {package: _r_name(package) for package in packages if package.startswith("r-")}
    installed = subprocess.run(
        [rscript, "--vanilla", "-e", "cat(rownames(installed.packages()), sep = '\\n')"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    present = set(installed.split())
    programs = [
        package
        for package, program in _PROGRAMS.items()
        if package in packages and shutil.which(program, path=_PROGRAM_PATH) is None
    ]
    return [*programs, *(package for package, name in names.items() if name not in present)]


def _r_name(package: str) -> str:
    name = package.removeprefix("r-cran-").removeprefix("r-")
    return _R_NAMES.get(name, name)


def _apt_install(packages: tuple[str, ...], missing: list[str], say: Callable[[str], None]) -> None:
    say("irt: installing R and its packages (once; about 600 MB)")
    try:
        apt_install(packages, missing=missing, needed_for="the R service")
    except CannotInstallError as error:
        raise RMissing(str(error)) from None


def _stamp() -> str:
    """A digest that changes whenever our R package does."""
    digest = hashlib.sha256()
    files = [PACKAGE / "DESCRIPTION", PACKAGE / "NAMESPACE"]
    files += [*sorted((PACKAGE / "R").glob("*.R")), *sorted((PACKAGE / "inst").iterdir())]
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
