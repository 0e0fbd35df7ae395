"""Returning to an earlier publication."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from irt.banks import banks_of
from irt.errors import BadDataError
from irt.operators.rollback import RollbackOperator
from tests.chain import check, publish, published, ready, stamp, state, whole_chain
from tests.runs import END, a_run

TOMORROW = END + timedelta(days=1)
BANKS = banks_of([{"name": "math", "topics": ["math"]}, {"name": "physics", "topics": ["physics"]}])


def roll_back(run_key="run-1/math", at=None, run_id="rollback-1", **settings):
    """:param at: when it is requested; default: now."""
    settings = {"bank": "math", "reason": "keys were wrong", "banks": BANKS} | settings
    operator = RollbackOperator(task_id="roll_back", run_key=run_key, **settings)
    at = at or datetime.now(timezone.utc)
    dag_run = SimpleNamespace(run_id=run_id, run_after=at, triggering_user_name="kim")
    return operator.execute({"dag_run": dag_run})


@pytest.fixture
def two_nights(database, tmp_path):
    """Two publications; the second moved item 1 and added item 4 and user u9."""
    first, second = a_run(tmp_path), a_run(tmp_path, run_id="run-2", end=TOMORROW)
    whole_chain(database, first)

    def change(result):
        result["item_params"][0]["params"]["b"] = -0.8
        result["item_params"].append(result["item_params"][2] | {"item_id": "4"})
        result["abilities"][0]["theta"] = -0.7
        result["abilities"].append({"user_id": "u9", "theta": 1.0, "se": 0.3, "n_responses": 3})
        result["fit_meta"]["model_spec"] |= {"n_items": 4, "n_users": 5}

    whole_chain(database, second, change)
    return first, second


def test_consumers_read_the_earlier_run_again(database, two_nights):
    first, second = two_nights
    assert roll_back() == {"items": 3, "abilities": 4, "fit_meta": 1}
    items, abilities, meta = published(database)
    at, undone = stamp(database, "rollback-1/math#rollback"), stamp(database, "run-2/math")
    assert [(i[0], i[2]["b"], i[4]) for i in items] == [("1", -1, at), ("2", 0, at), ("3", 1, at), ("4", 1, undone)]
    assert [(p[0], p[1]) for p in abilities] == [("u0", -1), ("u1", 0), ("u2", 1), ("u3", 2), ("u9", 1)]
    newest = max(meta, key=lambda row: row[3])
    assert (newest[0], newest[3]) == ("rollback-1/math#rollback", at)
    assert newest[1]["run_key"] == "run-1/math"
    assert newest[1]["rollback"] == {"by": "kim", "reason": "keys were wrong", "from": "run-2/math"}
    assert newest[1]["linking_constants"]["slope"] == 1.2
    assert (state(database, first), state(database, second)) == ("published", "superseded")


def test_a_second_try_changes_nothing(database, two_nights):
    roll_back()
    before = published(database)
    roll_back()
    assert published(database) == before


def test_a_cleared_publication_of_the_run_undone_does_not_come_back(database, two_nights):
    roll_back()
    before = published(database)
    for night in two_nights:
        check(night)
    with pytest.raises(AirflowSkipException, match="superseded by rollback-1/math#rollback"):
        publish(two_nights[1])
    # Consumers already read it, as the rollback wrote it.
    with pytest.raises(AirflowSkipException, match="superseded by rollback-1/math#rollback"):
        publish(two_nights[0])
    assert published(database) == before


def test_the_next_night_publishes_as_always_and_is_compared_with_the_run_returned_to(database, two_nights, tmp_path):
    roll_back()
    soon = datetime.now(timezone.utc) + timedelta(days=1)
    third = a_run(tmp_path, run_id="run-3", end=soon, lookback_days=3650)
    whole_chain(database, third)
    finding = "select finding from irt.run_check where run_key = 'run-3/math' and check_name = 'difficulty_shift'"
    assert "since run run-1/math" in database.execute(finding).fetchone()[0]
    assert state(database, third) == "published"


def test_an_item_that_the_earlier_run_lacks_gets_what_stood_before_it(database, tmp_path):
    whole_chain(database, a_run(tmp_path))

    def without(result):
        del result["item_params"][2]
        result["fit_meta"]["model_spec"] |= {"n_items": 2}

    def moved(result):
        result["item_params"][2]["params"]["b"] = 1.4

    whole_chain(database, a_run(tmp_path, run_id="run-2", end=TOMORROW), without)
    whole_chain(database, a_run(tmp_path, run_id="run-3", end=END + timedelta(days=2)), moved)
    roll_back("run-2/math")
    items, _, _ = published(database)
    assert [(i[0], i[2]["b"]) for i in items] == [("1", -1), ("2", 0), ("3", 1)]


def test_rows_of_online_updates_are_not_touched(database, two_nights):
    database.execute("update mirt_item_params set version = 'online-1' where item_id = '1'")
    roll_back()
    assert published(database)[0][0][2]["b"] == -0.8


def test_runs_that_cannot_be_returned_to(database, two_nights, tmp_path):
    ready(database, a_run(tmp_path, run_id="run-3", end=END + timedelta(days=2)))
    before = published(database)
    with pytest.raises(BadDataError, match="never published a run 'nonsense'; the last ones: run-2/math, run-1/math"):
        roll_back("nonsense")
    with pytest.raises(BadDataError, match="bank: 'physics' has no publication"):
        roll_back(bank="physics")
    with pytest.raises(BadDataError, match="never published a run 'run-3/math'"):
        roll_back("run-3/math")
    with pytest.raises(BadDataError, match="was published again meanwhile, by run-2/math"):
        roll_back(at=stamp(database, "run-2/math") - timedelta(seconds=1))
    first = "(select load_id from irt.run where run_key = 'run-1/math')"
    database.execute(f"delete from irt.load_ability where load_id = {first} and user_id = 'u0'")
    with pytest.raises(BadDataError, match="only 3 of the 4 abilities of run 'run-1/math' are kept; with items_only"):
        roll_back()
    assert published(database) == before
    assert roll_back(items_only=True) == {"items": 3, "fit_meta": 1}


def test_what_people_write_is_bound_not_pasted(database, tmp_path):
    text = "x'; drop table mirt_fit_meta; -- \\' %s %(run_key)s $1 $$"
    run = a_run(tmp_path, run_id=text)
    whole_chain(database, run)
    with pytest.raises(BadDataError, match="drop table"):
        roll_back(text)
    roll_back(run.run_key, run_id=f"{text}, later", reason=text)
    newest = max(published(database)[2], key=lambda row: row[3])
    assert newest[0] == f"{text}, later/math#rollback"
    assert newest[1]["rollback"] == {"by": "kim", "reason": text, "from": run.run_key}
