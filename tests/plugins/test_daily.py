"""The tasks of the daily check."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from irt.errors import StaleError
from irt.operators.daily import CheckAgeOperator, RemoveOldOperator, StatusOperator
from irt.staging import RESPONSES
from tests.chain import check, ready, stamp, whole_chain
from tests.plugins.test_rollback import roll_back
from tests.runs import END, a_run


def at(**later):
    return {"dag_run": SimpleNamespace(run_after=END + timedelta(**later))}


def check_age(banks=("math",), schedule="0 3 * * *", **later):
    return CheckAgeOperator(task_id="age", banks=banks, schedule=schedule).execute(at(**later))


def remove_old(keep_days, **later):
    return RemoveOldOperator(task_id="old", keep_days=keep_days).execute(at(**later))


def test_a_calibration_of_the_last_night_is_young_enough(database, tmp_path):
    whole_chain(database, a_run(tmp_path))
    check_age(hours=21)
    check_age(hours=24)


def test_one_of_the_night_before_is_not(database, tmp_path):
    whole_chain(database, a_run(tmp_path))
    # Last night's run failed, so it is not a good calibration.
    ready(database, a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1)))
    with pytest.raises(StaleError, match=r"bank math is 45.0 hours old \(run run-1/math, 2026-05-01T03:00:00"):
        check_age(hours=45)


@pytest.mark.parametrize(
    ("schedule", "hours", "fresh"),
    [
        # 2026-05-01 is a Friday. With a weekly DAG a calibration is fresh for a week, and 3 h for the run itself.
        ("0 3 * * 5", 6 * 24 + 21, True),
        ("0 3 * * 5", 7 * 24 + 2.9, True),
        ("0 3 * * 5", 7 * 24 + 3.1, False),
        ("0 3 * * *", 24 + 2.9, True),
        ("0 3 * * *", 24 + 3.1, False),
        ("0 */6 * * *", 9.1, False),
    ],
)
def test_the_age_follows_the_schedule(database, tmp_path, schedule, hours, fresh):
    whole_chain(database, a_run(tmp_path))
    if fresh:
        check_age(schedule=schedule, hours=hours)
    else:
        with pytest.raises(StaleError, match=r"\(one is expected since 2026-05-\d\d 0[36]:00 UTC, schedule"):
            check_age(schedule=schedule, hours=hours)


def test_a_bank_that_was_never_calibrated(database):
    with pytest.raises(StaleError, match="bank math was never calibrated; bank physics was never calibrated"):
        check_age(["physics", "math"], hours=1)


def test_a_return_to_an_earlier_run_does_not_make_it_young(database, tmp_path):
    whole_chain(database, a_run(tmp_path))
    whole_chain(database, a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1)))
    roll_back()
    with pytest.raises(StaleError, match="is 45.0 hours old"):
        check_age(hours=45)


def test_old_abilities_are_removed_and_those_that_consumers_read_are_not(database, tmp_path):
    for night in range(3):
        whole_chain(database, a_run(tmp_path, run_id=f"run-{night}", end=END + timedelta(days=night)))
    old = a_run(tmp_path, run_id="run-0")
    assert old.staged(RESPONSES).exists()
    assert remove_old(1, days=1, hours=23) == {"loads": 1, "abilities": 4, "folders": 1}
    left = "select run_key, count(*) from irt.run_ability group by 1 order by 1"
    assert database.execute(left).fetchall() == [("run-1/math", 4), ("run-2/math", 4)]
    assert not old.staged_folder().exists()
    # The history of the items stays; a second call removes nothing.
    assert database.execute("select count(*) from irt.run_item").fetchone() == (9,)
    assert remove_old(1, days=1, hours=23)["abilities"] == 0
    # What consumers read stays, however old it is.
    remove_old(1, days=100)
    assert database.execute(left).fetchall() == [("run-2/math", 4)]


@pytest.mark.parametrize("days", ["0", "-3", "soon", ""])
def test_a_number_of_days_that_is_none(database, days):
    with pytest.raises(ValueError):
        remove_old(days, days=1)


def test_the_status_is_in_the_log(database, tmp_path, capsys):
    whole_chain(database, a_run(tmp_path))
    late = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=4))
    ready(database, late)
    check(late)
    counts = StatusOperator(task_id="status", questions=["overview", "failed_checks"]).execute({})
    assert counts == {"overview": 1, "failed_checks": 1}
    log = capsys.readouterr().out
    assert f"bank math, last_calibration {stamp(database, 'run-1/math')}" in log
    assert "check_name freshness, severity warn" in log
