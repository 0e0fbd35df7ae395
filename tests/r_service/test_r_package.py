"""The R package's unit tests, linter, documentation and R CMD check, as people who work on it run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import irt_engine.version
from local import r_service
from local.home import ROOT, Home

DOCUMENTATION = ["NAMESPACE", "man/*.Rd"]


def run_r(home: Home, expression: str, folder: Path = r_service.PACKAGE) -> subprocess.CompletedProcess[str]:
    environment = os.environ | r_service.environment(home) | {"IRT_REFERENCE": str(ROOT / "tests" / "reference")}
    command = ["Rscript", "--vanilla", "-e", expression]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_unit_tests(r_home):
    done = run_r(r_home, "testthat::test_dir('tests/testthat', package = 'irtplumber', stop_on_failure = TRUE)")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    print(done.stdout.strip().splitlines()[-1])


def test_lints(r_home):
    done = run_r(r_home, "lints <- lintr::lint_package(); print(lints); quit(status = length(lints) > 0)")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_version_is_the_engines():
    description = (r_service.PACKAGE / "DESCRIPTION").read_text()
    assert f"\nVersion: {irt_engine.version.__version__}\n" in description


def test_documentation_is_up_to_date(r_home, tmp_path):
    """The README of the package says how to update them."""
    copy = tmp_path / "package"
    shutil.copytree(r_service.PACKAGE, copy, ignore=shutil.ignore_patterns("NAMESPACE", "man", "tests"))
    done = run_r(r_home, "roxygen2::roxygenise(roclets = c('namespace', 'rd'), load_code = 'installed')", copy)
    assert done.returncode == 0, done.stderr[-3000:]
    assert documentation(copy) == documentation(r_service.PACKAGE)


def documentation(package: Path) -> dict[str, str]:
    files = [file for pattern in DOCUMENTATION for file in package.glob(pattern)]
    return {str(file.relative_to(package)): file.read_text() for file in files}


@pytest.fixture
def check_environment(tmp_path: Path) -> dict[str, str]:
    """R CMD check looks on CRAN for suggested packages that are not installed, such as mirt; here CRAN is empty."""
    empty = tmp_path / "repository"
    (empty / "src" / "contrib").mkdir(parents=True)
    (empty / "src" / "contrib" / "PACKAGES").touch()
    profile = tmp_path / "profile.R"
    names = ", ".join(f"{name} = 'file://{empty}'" for name in ("CRAN", "BioCsoft", "BioCann", "BioCexp"))
    profile.write_text(f"options(repos = c({names}))\n")
    return os.environ | {
        "R_PROFILE_USER": str(profile), "_R_CHECK_FORCE_SUGGESTS_": "false", "LANGUAGE": "en", "LC_ALL": "C.UTF-8"
    }  # fmt: skip


# The unit tests run above; there is no LaTeX for the manual.
CHECK = ["--no-manual", "--no-tests", "--no-build-vignettes", "--install-args=--no-byte-compile"]


@pytest.mark.usefixtures("r_home")
def test_check_has_no_findings(tmp_path, check_environment):
    def r_cmd(*arguments: str) -> str:
        done = subprocess.run(
            ["R", "CMD", *arguments], cwd=tmp_path, env=check_environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    r_cmd("build", "--no-build-vignettes", str(r_service.PACKAGE))
    (archive,) = tmp_path.glob("irtplumber_*.tar.gz")
    log = r_cmd("check", *CHECK, archive.name)
    findings = re.findall(r"^\* (checking .*) \.\.\. (?:\[.*\] )?(?:NOTE|WARNING|ERROR)$", log, re.MULTILINE)
    # Debian has no mirt, which the package can do without.
    missing = "Package suggested but not available for checking: ‘mirt’"
    if missing in log:
        findings.remove("checking package dependencies")
    assert not findings, log
    assert re.search(r"^Status: (OK|1 NOTE)$", log, re.MULTILINE), log
