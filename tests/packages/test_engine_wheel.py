"""The engine's wheel, in an otherwise empty environment."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest

from local.home import ROOT
from tests.packages.conftest import clean_environment

LSAT7 = ROOT / "tests" / "reference" / "a_lsat7"


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as files:
        [name] = [name for name in files.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(files.read(name).decode())


@pytest.fixture(scope="module")
def environment(engine_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the wheel, and its dependencies in the locked versions."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
    install = [uv, "pip", "install", "-q", "--python", folder / "bin" / "python", "-c", ROOT / "requirements.txt"]
    subprocess.run([*install, "--only-binary", ":all:", engine_wheel], check=True)
    return folder


def run(environment: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    variables = clean_environment(NUMBA_CACHE_DIR=str(environment / "kernels"))
    command = [environment / "bin" / "irt-engine", *arguments]
    return subprocess.run(command, cwd=environment, env=variables, capture_output=True, text=True)


def test_the_wheel_holds_every_module_its_types_and_the_licence_and_nothing_else(engine_wheel):
    with zipfile.ZipFile(engine_wheel) as files:
        names = set(files.namelist())
        [licence] = [name for name in names if name.endswith("/LICENSE")]
        assert files.read(licence) == (ROOT / "LICENSE").read_bytes()
    source = ROOT / "engine" / "src"
    modules = {str(file.relative_to(source)) for file in source.rglob("*.py") if "egg-info" not in str(file)}
    assert {name for name in names if ".dist-info/" not in name} == modules | {"irt_engine/py.typed"}
    assert len(modules) > 80


def test_its_metadata_is_complete(engine_wheel):
    told = metadata(engine_wheel)
    assert told["License-Expression"] == "Apache-2.0" and told["Author"] and told["Summary"]
    assert told["Description-Content-Type"] == "text/markdown" and "irt-engine calibrate" in told.get_payload()
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.10"} <= set(told.get_all("Classifier"))
    assert told.get_all("Provides-Extra") == ["service", "otel", "dask"]


def test_calibrate_runs_where_nothing_else_is_installed(environment, tmp_path):
    packages = next((environment / "lib").glob("python*/site-packages"))
    installed = {folder.name.partition("-")[0] for folder in packages.glob("*.dist-info")}
    pydantic = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
    assert installed == {"irt_engine", "llvmlite", "numba", "numpy", "pyarrow"} | pydantic
    answers, result = tmp_path / "answers.parquet", tmp_path / "result.json"
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(LSAT7 / "responses.csv"), answers)
    done = run(environment, "calibrate", answers, "--model", "2PL", "--out", result)
    assert done.returncode == 0, done.stderr
    expected = json.loads((LSAT7 / "expected.json").read_text())["fits"]["2PL"]
    calibrated = json.loads(result.read_text())
    assert calibrated["fit_meta"]["metrics"]["loglik"] == pytest.approx(expected["logLik"], abs=1e-4)
    slopes = [item["params"]["a"] for item in calibrated["item_params"]]
    assert slopes == pytest.approx([item["a"] for item in expected["items"]], abs=1e-3)


def test_serve_names_the_extra_that_it_needs(environment, tmp_path):
    done = run(environment, "serve", "--state-dir", tmp_path, "--insecure-no-token")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "irt-engine serve: needs uvicorn: install irt-engine[service]\n"


def test_what_the_engine_shares_with_the_project_is_the_same_text():
    assert (ROOT / "engine" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
