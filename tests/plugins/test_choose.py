"""The list of runs from which a person chooses."""

from __future__ import annotations

from datetime import timedelta

import pytest

from irt.errors import BadDataError, ChecksFailedError
from irt.operators.choose import ChooseRunOperator
from tests.chain import check, load, publish, ready, whole_chain
from tests.plugins.test_publications import harder
from tests.plugins.test_rollback import roll_back
from tests.runs import END, a_run


class Asked(Exception):
    """A person is asked."""


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """What follows is Airflow's job."""

    def ask(self, context):
        raise Asked(self.options, self.body)

    monkeypatch.setattr("airflow.providers.standard.operators.hitl.HITLOperator.execute", ask)


def choose(query="rollback/choices", run_key="", bank="math"):
    operator = ChooseRunOperator(
        task_id="choose", subject="?", query=query, none_there="nothing there", run_key=run_key, bank=bank
    )
    return operator.execute({})


def offered(**settings):
    with pytest.raises(Asked) as asked:
        choose(**settings)
    return asked.value.args


def nights(database, tmp_path, count):
    runs = [a_run(tmp_path, run_id=f"run-{n}", end=END + timedelta(days=n)) for n in range(1, count + 1)]
    for run in runs:
        whole_chain(database, run)
    return runs


def test_a_named_run_needs_no_question_and_is_trimmed():
    assert choose(run_key="  run-1/math\n") == {"chosen_options": ["run-1/math"]}


def test_the_publications_of_the_bank_but_for_the_one_that_is_read(database, tmp_path):
    third = nights(database, tmp_path, 3)[2]
    options, body = offered()
    assert options == ["run-2/math", "run-1/math"]
    assert "| run-2/math | " in body and "| 2026-05-03 03:00 UTC | 3 | 4 |" in body
    # After a rollback, the undone run is offered; each run once, however often it was published.
    roll_back("run-1/math")
    for task in (load, check):
        task(third)
    assert offered()[0] == ["run-3/math", "run-2/math"]
    with pytest.raises(BadDataError, match="nothing there"):
        choose(bank="physics")


def test_the_rejected_runs(database, tmp_path):
    nights(database, tmp_path, 1)
    bad = a_run(tmp_path, run_id="run-9", end=END + timedelta(days=9), lookback_days=3650)
    ready(database, bad, harder(0, converged=False))
    with pytest.raises(ChecksFailedError):
        check(bad)
    assert offered(query="status/rejected")[0] == ["run-9/math"]
    ready(database, bad)
    check(bad)
    publish(bad)
    with pytest.raises(BadDataError, match="nothing there"):
        choose(query="status/rejected")


def test_nobody_answers():
    operator = ChooseRunOperator(task_id="choose", subject="?", query="rollback/choices", none_there="nothing there")
    with pytest.raises(BadDataError, match="nobody chose within 1 day"):
        operator.execute_complete({}, {"error": "timed out", "error_type": "timeout"})
