"""The R package's own tests and its linter, as people who work on it run them."""

from __future__ import annotations

import os
import subprocess

from local import r_service
from local.home import ROOT


def run_r(home, expression: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | r_service.environment(home) | {"IRT_REFERENCE": str(ROOT / "tests" / "reference")}
    command = ["Rscript", "--vanilla", "-e", expression]
    return subprocess.run(command, cwd=r_service.PACKAGE, env=environment, capture_output=True, text=True)


def test_unit_tests(r_home):
    done = run_r(r_home, "testthat::test_dir('tests/testthat', package = 'irtplumber', stop_on_failure = TRUE)")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    print(done.stdout.strip().splitlines()[-1])


def test_lints(r_home):
    done = run_r(r_home, "lints <- lintr::lint_package(); print(lints); quit(status = length(lints) > 0)")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
