"""The asset events of publications in Airflow's database, from tasks run as a worker runs them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from irt.operators.publish import PublishOperator
from irt.published import TABLES
from local.home import ROOT

NIGHTLY, ROLLBACK, APPROVAL = "irt_calibration_nightly", "irt_publish_rollback", "irt_publish_rejected"
NAMES = sorted([*(asset.name for asset in TABLES), "irt_bank_math", "irt_publication"])


def test_one_event_per_asset_and_publication(tasks, database, night):
    run = night("events-1")
    assert tasks.run(NIGHTLY, "events-1", "bank.publish")[0] == "success"
    events = tasks.events("events-1")
    assert sorted(event.asset.name for event in events) == NAMES
    # DAGs scheduled on an asset as such start only for events without a key.
    assert {event.asset.name: event.partition_key for event in events if event.partition_key} == {
        "irt_publication": "math"
    }
    assert [event.source_aliases[0].name for event in events if event.source_aliases] == ["irt_bank"]
    extra = events[0].extra
    assert all(event.extra == extra for event in events)
    published = database.execute("select publication_id, published_at from irt.publication").fetchone()
    assert extra == {
        "publication_id": published[0],
        "kind": "calibration",
        "bank": "math",
        "version": "math",
        "run_key": "events-1/math",
        "window_start": f"{run.window_start[:19]}.000000+00:00",
        "window_end": f"{run.window_end[:19]}.000000+00:00",
        "published_at": published[1].isoformat(timespec="microseconds"),
        "verdict": "accepted",
        "checks": {"passed": 0, "warnings": 0, "failed": 0},
        "counts": {"responses": 3, "users": 4, "items": 3, "held": 0},
        "slope": 1.2,
        "intercept": 0.4,
    }


def test_a_task_that_is_cleared_gives_no_second_event(tasks, database, night):
    night("events-2")
    for _ in range(2):
        assert tasks.run(NIGHTLY, "events-2", "bank.publish")[0] == "success"
    assert sorted(event.asset.name for event in tasks.events("events-2")) == NAMES
    assert database.execute("select count(*) from irt.publication").fetchone() == (1,)


def test_a_try_that_died_after_its_commit_loses_no_event(tasks, database, night):
    run = night("events-3")
    # As if its process was killed before it could report its success.
    PublishOperator(task_id="publish", run=run.to_dict()).execute({})
    assert tasks.events("events-3") == []
    assert tasks.run(NIGHTLY, "events-3", "bank.publish")[0] == "success"
    assert sorted(event.asset.name for event in tasks.events("events-3")) == NAMES
    [publication] = database.execute("select publication_id from irt.publication").fetchall()
    assert {event.extra["publication_id"] for event in tasks.events("events-3")} == set(publication)


def test_what_publishes_nothing_gives_no_event(tasks, database, night):
    night("events-dry", dry_run=True)
    assert tasks.run(NIGHTLY, "events-dry", "bank.publish")[0] == "skipped"
    early = night("events-early")
    night("events-late")
    assert tasks.run(NIGHTLY, "events-late", "bank.publish")[0] == "success"
    assert tasks.run(NIGHTLY, "events-early", "bank.publish")[0] == "skipped"
    database.execute("update irt.load set state = 'rejected' where run_key = %s", [early.run_key])
    assert tasks.run(NIGHTLY, "events-early", "bank.publish")[0] == "failed"
    assert [tasks.events(run_id) for run_id in ("events-dry", "events-early")] == [[], []]


def test_a_rollback_tells_what_it_returned_to(tasks, database, night):
    first, _ = night("events-4"), night("events-5")
    for run_id in ("events-4", "events-5"):
        assert tasks.run(NIGHTLY, run_id, "bank.publish")[0] == "success"
    form = {"bank": "math", "reason": "the keys were wrong", "run_key": first.run_key}
    tasks.new_run(ROLLBACK, "events-back", form, run_after=datetime.now(timezone.utc))
    tasks.push(ROLLBACK, "events-back", "choose", {"chosen_options": [first.run_key]})
    for _ in range(2):
        assert tasks.run(ROLLBACK, "events-back", "roll_back")[0] == "success"
    events = tasks.events("events-back")
    assert sorted(event.asset.name for event in events) == NAMES
    extra = events[0].extra
    assert (extra["kind"], extra["bank"], extra["run_key"]) == ("rollback", "math", "events-4/math")
    assert extra["window_end"] == f"{first.window_end[:19]}.000000+00:00"
    assert extra["publication_id"] > tasks.events("events-5")[0].extra["publication_id"]


def test_an_approval_is_said(tasks, database, night):
    run = night("events-6")
    at = "2026-05-01T06:00:00+00:00"
    database.execute("update irt.load set state = 'rejected', judged_at = %s where run_key = %s", [at, run.run_key])
    tasks.new_run(APPROVAL, "events-yes", {"run_key": run.run_key})
    answer = {"params_input": {"reason": "the bank was renewed"}, "responded_by_user": {"id": "7", "name": "kim"}}
    tasks.push(APPROVAL, "events-yes", "approve", answer)
    tasks.push(APPROVAL, "events-yes", "review", run.to_dict())
    tasks.push(APPROVAL, "events-yes", "review", at, key="judged_at")
    assert tasks.run(APPROVAL, "events-yes", "publish")[0] == "success"
    events = tasks.events("events-yes")
    assert sorted(event.asset.name for event in events) == NAMES
    assert (events[0].extra["verdict"], events[0].extra["run_key"]) == ("approved", "events-6/math")
    assert "kim" not in str(events[0].extra)


def test_the_dags_of_the_documentation_are_started(tasks, database, night, tmp_path):
    told = (ROOT / "docs" / "other-dags.md").read_text()
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", told, re.DOTALL)):
        (tmp_path / f"example_{number}.py").write_text(example)
    (tmp_path / "tables.py").write_text(
        "from airflow.sdk import DAG, Asset\nfrom irt.published import TABLES\n"
        "with DAG('any_report', schedule=TABLES):\n    pass\n"
    )
    tasks.add_dags(tmp_path, "math_report", "bank_report", "any_report")
    night("events-7")
    assert tasks.run(NIGHTLY, "events-7", "bank.publish")[0] == "success"
    started = tasks.started_by_assets()
    assert {run.dag_id: run.partition_key for run in started} == {
        "math_report": None,
        "bank_report": "math",
        "any_report": None,
    }
    for run in started:
        assert {event.extra["run_key"] for event in run.consumed_asset_events} == {"events-7/math"}
