"""A check of the user's own in the real DAG: planned, analysed, judged and reported by tasks as a worker runs them."""

from __future__ import annotations

from dataclasses import replace

from irt.banks import load_banks
from irt.run import Run
from tests.chain import load, register, stage
from tests.runs import SMALL

NIGHTLY = "irt_calibration_nightly"
SQL = """
select max(b) >= %(min_b)s::float8 as passed, max(b) as figure, '' as threshold, 'hardest: ' || max(b) as finding
from irt.load_item where load_id = %(load_id)s
"""


def test_a_night_with_an_own_check(tasks, database, monkeypatch, tmp_path):
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "hardest.sql").write_text(SQL)
    (folder / "hardest.yaml").write_text("severity: fail\nthresholds: {min_b: 1.5}")
    (tmp_path / "banks.yaml").write_text(
        "checks_folder: checks\nbanks: [{name: math, topics: [math], linking: {method: none}}]"
    )
    banks = load_banks(tmp_path / "banks.yaml")
    # The task's process is forked, and parses the DAG again.
    monkeypatch.setattr("irt.banks.load_banks", lambda: banks)
    monkeypatch.setenv("AIRFLOW_VAR_IRT_STAGING", tmp_path.as_uri())
    monkeypatch.setenv("AIRFLOW_CONN_R_IRT", '{"conn_type": "http", "host": "localhost"}')
    tasks.new_run(NIGHTLY, "own", {"banks": ["math"]})
    assert tasks.run(NIGHTLY, "own", "plan_runs")[0] == "success"
    run = Run.from_dict(tasks.xcom(NIGHTLY, "own", "plan_runs")[0])
    assert [check.name for check in run.own_checks] == ["hardest"]
    register(database, replace(run, minimum=SMALL))
    stage(run)
    load(run)
    tasks.expand(NIGHTLY, "own", "bank.check")
    state, log = tasks.run(NIGHTLY, "own", "bank.check")
    assert state == "failed"
    judged = [line["event"] for line in log if line["event"].startswith("check ")]
    assert len(judged) == 30 and judged[-1].startswith("check hardest                FAILED   hardest: 1  [figure 1,")
    assert log[-2]["event"].endswith("is rejected, 1 checks failed: hardest: hardest: 1")
