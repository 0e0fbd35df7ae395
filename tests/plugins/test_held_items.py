"""Held items: consumers keep their last good row, and people hear of them once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from irt.alerts import HELD_CHANGES, ItemNotifier
from irt.bank import Bank
from irt.banks import banks_of
from irt.errors import BadDataError, ChecksFailedError
from irt.operators.daily import StatusOperator
from irt.operators.publish import PublishOperator
from irt.operators.rollback import RollbackOperator
from irt.request import Accepts, settings_of
from irt.result import parse_result
from tests.chain import check, load, ready, result_of, stage, stamp, state, whole_chain
from tests.runs import END, SMALL, a_run, answer, exam

ITEMS = 20
BANK = {"name": "math", "topics": ["math"], "minimum": SMALL}
REVERSED = {"reason": "reversed", "action": "hold", "figure": -6.2, "limit": 2.0}
MISFIT = {"reason": "misfit", "action": "warn", "figure": 0.21, "limit": 0.15}


def night(n: int, tmp_path, **bank):
    return a_run(tmp_path, bank=bank, run_id=f"run-{n}", end=END + timedelta(days=n))


def bank_of(held=(), warned=(), moved=None, without=(), shift=0.0):
    """A result of 20 items with difficulties -1, -0.9, …: some held, some with a warning, some that moved."""

    def change(result):
        first, items = result["item_params"][1], []
        for n in range(1, ITEMS + 1):
            item = str(n)
            if item in without:
                continue
            b = n / 10 - 1.1 + shift + (moved or {}).get(item, 0.0)
            reasons = [REVERSED] * (item in held) + [MISFIT] * (item in warned)
            status = "held" if item in held else "published"
            row = first | {"item_id": item, "params": {"a": -0.7 if item in held else 1.0, "b": b}}
            items.append(row | {"se": {"a": 0.1, "b": 0.1}, "verdict": {"status": status, "reasons": reasons}})
        result["item_params"] = [row for row in items if row["verdict"]["status"] == "published"]
        result["held"] = [row for row in items if row["verdict"]["status"] == "held"]
        result["fit_meta"]["model_spec"]["n_items"] = len(result["item_params"])

    return change


class Instance:
    """A task instance that keeps its XComs."""

    task_id, map_index = "publish", -1

    def __init__(self) -> None:
        self.pushed: dict[str, str] = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


def published(run) -> str:
    """Publish a run; returns the alerts about its items."""
    task = Instance()
    PublishOperator(task_id="publish", run=run.to_dict()).execute({"ti": task})
    return task.pushed.get(HELD_CHANGES, "")


def checked(database, run, change) -> dict:
    ready(database, run, change)
    return check(run)


def told(database, run, change) -> str:
    checked(database, run, change)
    return published(run)


def row_of(database, item: str):
    query = "select params ->> 'b', fitted_at from mirt_item_params where item_id = %s"
    return database.execute(query, [item]).fetchone()


def watched(database) -> list:
    query = "select bank, item_id, reason, since_run, nights, published_at from irt.item_watch order by item_id"
    return database.execute(query).fetchall()


def verdict(database, run, name):
    query = "select passed, severity, figure, finding from irt.run_check where run_key = %s and check_name = %s"
    return database.execute(query, [run.run_key, name]).fetchone()


def test_the_last_good_row_of_a_held_item_stays(database, tmp_path):
    whole_chain(database, night(0, tmp_path), bank_of())
    second = night(1, tmp_path)
    ready(database, second, bank_of(held=["3"], warned=["4"], shift=0.01))
    assert check(second)["warnings"] == 0
    published(second)
    assert float(row_of(database, "3")[0]) == pytest.approx(-0.8)
    assert float(row_of(database, "4")[0]) == pytest.approx(-0.69)
    assert row_of(database, "3")[1] == stamp(database, "run-0/math") < row_of(database, "4")[1]
    held = "select item_id, a, reasons from irt.run_held where run_key = %s"
    assert database.execute(held, [second.run_key]).fetchall() == [("3", -0.7, [REVERSED])]
    query = "select item_id, reasons from irt.run_item where run_key = %s and reasons is not null"
    assert database.execute(query, [second.run_key]).fetchall() == [("4", [MISFIT])]
    assert verdict(database, second, "held_items")[:3] == (True, "fail", pytest.approx(1 / 20))
    assert "19 items and 4 abilities loaded" in verdict(database, second, "row_counts")[3]


def test_parameters_out_of_range_of_a_held_item_reject_nothing(database, tmp_path):
    run = night(0, tmp_path)
    checked(database, run, bank_of(held=["3"]))
    assert verdict(database, run, "parameters_in_range")[:3] == (True, "fail", 0)
    assert state(database, run) == "accepted"


def test_the_watch_counts_nights_and_since_when(database, tmp_path):
    nights = [["3"], ["3", "4"], ["3"], ["3", "5"]]
    whole_chain(database, night(0, tmp_path), bank_of())
    for n, held in enumerate(nights, start=1):
        whole_chain(database, night(n, tmp_path), bank_of(held=held, without=["5"] if n == 3 else []))
    first = stamp(database, "run-0/math")
    assert watched(database) == [
        ("math", "3", "reversed", "run-1/math", 4, first),
        ("math", "5", "reversed", "run-4/math", 1, stamp(database, "run-2/math")),
    ]
    # A night without the item is no night of its own, and does not end the others.
    for n, (held, without) in enumerate([(["5"], []), ([], ["5"]), (["5"], [])], start=5):
        whole_chain(database, night(n, tmp_path), bank_of(held=held, without=without))
    assert watched(database) == [("math", "5", "reversed", "run-4/math", 3, stamp(database, "run-2/math"))]
    whole_chain(database, night(8, tmp_path), bank_of())
    assert watched(database) == []


def test_the_daily_check_lists_them(database, tmp_path):
    whole_chain(database, night(0, tmp_path), bank_of(held=["3"]))
    counts = StatusOperator(task_id="status", questions=["held_items"]).execute({})
    assert counts == {"held_items": 1}


def test_each_change_is_told_once(database, tmp_path):
    assert told(database, night(0, tmp_path), bank_of()) == ""
    assert told(database, night(1, tmp_path), bank_of(held=["3", "4"])) == (
        "newly held: 3 (reversed -6.20), 4 (reversed -6.20)"
    )
    assert told(database, night(2, tmp_path), bank_of(held=["3", "4"])) == ""
    assert told(database, night(3, tmp_path), bank_of(held=["3", "5"])) == (
        "newly held: 5 (reversed -6.20); well again: 4"
    )
    # An item that is not there is not well.
    assert told(database, night(4, tmp_path), bank_of(held=["3"], without=["5"])) == ""


def test_the_alert_names_them(service, monkeypatch):
    sent = []
    monkeypatch.setattr("irt.alerts.send", sent.append)

    class Message(Instance):
        run_id, log_url = "run-1", "http://log"

        def xcom_pull(self, task_ids, map_indexes, key):
            return "newly held: 3 (reversed -6.20)" if key == HELD_CHANGES else None

    context = {"ti": Message(), "task": type("Task", (), {"run": {"bank": "math"}})()}
    ItemNotifier()(context)
    [alert] = sent
    assert (alert.kind, alert.bank, alert.reason) == ("items", "math", "newly held: 3 (reversed -6.20)")
    assert "items / 문항" in alert.subject


@pytest.mark.parametrize(("n_held", "passes"), [(2, True), (3, False)])
def test_many_held_items_reject_the_bank(database, tmp_path, n_held, passes):
    """2 of 20 is the share that is allowed."""
    run = night(0, tmp_path)
    ready(database, run, bank_of(held=[str(n) for n in range(1, n_held + 1)]))
    if passes:
        check(run)
    else:
        with pytest.raises(ChecksFailedError, match=r"held_items: 3 of 20 items held.* item 1 \(reversed -6.20\), "):
            check(run)
        assert row_of(database, "10") is None
    assert verdict(database, run, "held_items")[0] is passes


def test_rollback_and_the_next_night_leave_a_held_item_with_its_last_good_row(database, tmp_path):
    whole_chain(database, night(0, tmp_path), bank_of())
    whole_chain(database, night(1, tmp_path), bank_of(held=["3"], shift=0.1))
    whole_chain(database, night(2, tmp_path), bank_of(shift=0.2))
    assert float(row_of(database, "3")[0]) == pytest.approx(-0.6)
    back = {"bank": "math", "run_key": "run-1/math", "reason": "the scale of run-2 is off", "banks": banks_of([BANK])}
    dag_run = SimpleNamespace(run_id="back", run_after=datetime.now(timezone.utc), triggering_user_name="kim")
    RollbackOperator(task_id="roll_back", **back).execute({"dag_run": dag_run})
    assert float(row_of(database, "3")[0]) == pytest.approx(-0.8)
    assert float(row_of(database, "4")[0]) == pytest.approx(-0.6)


MOVED = {"moved": {"action": "hold", "limit": 0.5, "least_z": 3.0}}


@pytest.mark.parametrize(("by", "held"), [(0.49, False), (0.51, True), (-0.6, True)])
def test_an_item_that_moved_is_held(database, tmp_path, by, held):
    whole_chain(database, night(0, tmp_path, verdicts=MOVED), bank_of())
    run = night(1, tmp_path, verdicts=MOVED)
    assert told(database, run, bank_of(moved={"7": by}, warned=["7"])) == (
        f"newly held: 7 (moved {by:.2f})" if held else ""
    )
    assert float(row_of(database, "7")[0]) == pytest.approx(-0.4 if held else -0.4 + by)
    found = database.execute("select reasons from irt.run_held where run_key = %s", [run.run_key]).fetchall()
    reason = {"reason": "moved", "action": "hold", "figure": pytest.approx(by), "limit": 0.5, "parameter": "b"}
    assert found == ([([MISFIT, reason],)] if held else [])
    assert verdict(database, run, "row_counts")[0]
    # A night later it is still another item than the one that was published.
    third = night(2, tmp_path, verdicts=MOVED)
    assert told(database, third, bank_of(moved={"7": by})) == ""
    assert [row[1] for row in watched(database)] == (["7"] if held else [])


def test_a_change_within_its_noise_is_none(database, tmp_path):
    """0.6 is more than the limit, and less than 3 SEs of 0.1 * sqrt(2) * 1.5."""

    def noisy(result):
        bank_of(moved={"7": 0.6})(result)
        for row in result["item_params"]:
            row["se"] = {"a": 0.1, "b": 0.25}

    whole_chain(database, night(0, tmp_path, verdicts=MOVED), bank_of())
    run = night(1, tmp_path, verdicts=MOVED)
    checked(database, run, noisy)
    assert watched(database) == []


def test_by_default_an_item_that_moved_is_a_warning(database, tmp_path):
    whole_chain(database, night(0, tmp_path), bank_of())
    run = night(1, tmp_path)
    told(database, run, bank_of(moved={"7": 0.6}))
    assert float(row_of(database, "7")[0]) == pytest.approx(0.2)
    query = "select item_id, reasons from irt.run_item where run_key = %s and reasons is not null"
    [(item, [reason])] = database.execute(query, [run.run_key]).fetchall()
    assert (item, reason["reason"], reason["action"]) == ("7", "moved", "warn")


def test_a_loaded_again_run_is_judged_again(database, tmp_path):
    run = night(0, tmp_path)
    whole_chain(database, run, bank_of(held=["3"]))
    stage(run, bank_of())
    assert load(run) == {"items": 20, "held": 0, "abilities": 4}
    assert watched(database) == []


def test_another_bank_may_not_publish_a_held_item(database, tmp_path):
    other = {"name": "other", "topics": ["other"]}
    whole_chain(database, a_run(tmp_path, others=[other]), bank_of(held=["3"]))
    exam(database, [answer(i, True, topic="other") for i in (1, 2, 3)])
    thief = a_run(tmp_path, bank=other | {"checks": {}}, others=[{"name": "math", "topics": ["math"]}], run_id="run-x")
    ready(database, thief, bank_of())
    with pytest.raises(ChecksFailedError, match="items_of_other_banks: 20 items are published by other banks"):
        check(thief)


def test_the_request_says_by_what_items_are_judged(run):
    bank = Bank.model_validate({"name": "x", "topics": ["x"], "verdicts": {"flat": {"action": "ignore"}}})
    assert set(bank.verdicts.model_dump()) == {
        "reversed", "flat", "out_of_range", "imprecise", "misfit", "too_few_answers", "changed", "moved",
    }  # fmt: skip
    sent = settings_of(replace(run, linking={"method": "none"}), [], set())["verdicts"]
    assert set(sent) == {"reversed", "flat", "out_of_range", "imprecise", "misfit", "too_few_answers", "changed"}
    assert sent["out_of_range"] == {"action": "hold", "limit": 10.0, "limit_a": 10.0}


def test_a_service_says_that_it_can_judge_items():
    assert Accepts.from_health({"capabilities": ["verdicts", "x"]}).capabilities == {"verdicts", "x"}
    assert Accepts.from_health({}).capabilities == frozenset()


def test_an_item_that_is_published_and_held_is_refused(run):
    def change(result):
        result["held"] = [result["item_params"][0]]

    with pytest.raises(BadDataError, match="item_params: item_id '1' appears twice"):
        parse_result(json.dumps(result_of(run, change)), run_key=run.run_key)
