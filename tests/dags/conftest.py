"""All DAGs, as the scheduler finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from real_tasks import RealTasks

from irt.run import Run
from tests.chain import accept, load, register, stage
from tests.runs import SMALL

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


@pytest.fixture
def night(tasks, database, monkeypatch, tmp_path):
    """Plans a night of the bank math; its load is accepted and not yet published."""
    monkeypatch.setenv("AIRFLOW_VAR_IRT_STAGING", tmp_path.as_uri())
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", '{"conn_type": "http", "host": "localhost"}')

    def plan(run_id, **conf):
        tasks.new_run("irt_calibration_nightly", run_id, {"banks": ["math"]} | conf)
        assert tasks.run("irt_calibration_nightly", run_id, "plan_runs")[0] == "success"
        tasks.expand("irt_calibration_nightly", run_id, "bank.publish")
        run = replace(Run.from_dict(tasks.xcom("irt_calibration_nightly", run_id, "plan_runs")[0]), minimum=SMALL)
        register(database, run)
        stage(run)
        load(run)
        accept(database, run)
        return run

    return plan
