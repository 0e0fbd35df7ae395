"""All DAGs, as the scheduler finds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from real_tasks import RealTasks

DAGS = {"irt_calibration_nightly", "irt_daily_check", "irt_publish_rejected", "irt_publish_rollback"}


@pytest.fixture(scope="session")
def bag():
    bag = DagBag(str(Path(__file__).parents[2] / "dags"))
    assert not bag.import_errors
    # A missing folder gives an empty bag and no error.
    assert set(bag.dags) == DAGS
    return bag


@pytest.fixture(scope="session")
def tasks(tmp_path_factory) -> RealTasks:
    return RealTasks(tmp_path_factory.mktemp("logs"))
