"""The two wheels, built from a copy of the checkout, because setuptools builds inside the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.home import ROOT

_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "plugins", "include", "engine")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds them."""
    folder = tmp_path_factory.mktemp("wheels")
    copy = folder / "checkout"
    copy.mkdir()
    for name in _SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder]
    subprocess.run([*command, copy, copy / "engine"], check=True)
    return folder


@pytest.fixture(scope="session")
def engine_wheel(wheels: Path) -> Path:
    [wheel] = wheels.glob("irt_engine-*.whl")
    return wheel


@pytest.fixture(scope="session")
def pipeline_wheel(wheels: Path) -> Path:
    [wheel] = wheels.glob("irt_calibration_airflow-*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(pipeline_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel only; its dependencies are in the tests' environment."""
    folder = tmp_path_factory.mktemp("site") / "packages"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target", folder]
    subprocess.run([*command, pipeline_wheel], check=True)
    # A misleading neighbour, such as /usr/local/include.
    (folder.parent / "include").mkdir()
    return folder


def clean_environment(**more: str) -> dict[str, str]:
    """Without variables through which the checkout's own modules or this Airflow would be found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "IRT_", "PYTHON"))}
    return kept | more
