"""docs/architecture.md, "Who may import whom"."""

from __future__ import annotations

import os

import pytest

from local.home import ROOT
from tests.static.tools import imported, output_of

DAGS = sorted((ROOT / "dags").glob("*.py"))


def test_rooms_of_the_engine_and_the_plugins():
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("engine/src", "plugins"))
    assert "Contracts: 4 kept, 0 broken." in output_of("lint-imports", "--no-cache", PYTHONPATH=paths)


@pytest.mark.parametrize("file", DAGS, ids=lambda file: file.stem)
def test_dags_know_airflow_and_the_plugins_alone(file):
    modules = imported(file)
    assert "airflow.sdk" in modules
    assert {module.partition(".")[0] for module in modules} <= {"airflow", "irt"}
