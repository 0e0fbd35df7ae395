"""From a staged result to what consumers read: load, check, publish, on a real PostgreSQL."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from irt.alerts import RECOVERED
from irt.errors import BadDataError, ChecksFailedError
from irt.operators.publish import PublishOperator
from irt.sql import SQL
from irt.staging import FIT, SECONDS
from tests.chain import (
    CHECKS,
    accept,
    check,
    load,
    publish,
    published,
    ready,
    register,
    stage,
    stamp,
    state,
    whole_chain,
)
from tests.runs import END, a_run


def test_what_consumers_read(database, tmp_path):
    run = a_run(tmp_path)
    assert whole_chain(database, run) == {"items": 3, "abilities": 4, "fit_meta": 1}
    items, abilities, meta = published(database)
    at = stamp(database, "run-1/math")
    assert items[0] == ("1", "2PL", {"a": 1.1, "b": -1, "se_a": 0.1, "se_b": 0.2}, "math", at)
    assert abilities[0] == ("u0", -1.0, 0.4, "2PL", "math", at)
    run_id, spec, metrics, fitted_at = meta[0]
    assert (run_id, fitted_at) == ("run-1/math", at)
    assert spec["window"] == ["2026-03-02T03:00:00+00:00", "2026-05-01T03:00:00+00:00"]
    assert spec["linking_constants"]["slope"] == 1.2
    assert spec["bank"] == "math"
    assert metrics == {"loglik": -7.5, "converged": True, "n_iterations": 12}
    assert state(database, run) == "published"
    # The consumers' own queries.
    assert database.execute("select params ->> 'a' from mirt_item_params limit 1").fetchone() == ("1.1",)
    query = "select model_spec -> 'linking_constants' ->> 'intercept' from mirt_fit_meta"
    assert database.execute(query).fetchone() == ("0.4",)


def test_a_run_that_is_not_in_the_registry_is_not_loaded(database, tmp_path):
    run = a_run(tmp_path)
    stage(run)
    with pytest.raises(BadDataError, match="run-1/math is not in the registry; clear extract_responses"):
        load(run)
    assert database.execute("select count(*) from irt.run_ability").fetchone() == (0,)


def test_a_result_that_was_staged_before_seconds_had_a_place_of_their_own(database, tmp_path):
    run = a_run(tmp_path)
    register(database, run)
    stage(run)
    Path(run.staged(SECONDS).path).unlink()
    fit = json.loads(run.staged(FIT).read_text())
    run.staged(FIT).write_text(json.dumps(fit | {"seconds": 2.5}))
    load(run)
    assert database.execute("select timings ->> 'calibrate' from irt.run").fetchone() == ("2.5",)


def test_a_publication_that_overwrites_stays_on_its_pages(database, tmp_path):
    """Heap-only updates: from a full page, the new rows would move to another, with new index entries."""
    pages = "select user_id, (ctid::text::point)[0] from mirt_ability where version = 'math' order by user_id"
    many = [{"user_id": f"u{n:04}", "theta": 0.1, "se": 0.4, "n_responses": 3} for n in range(2_000)]

    def change(result):
        result["abilities"] = many
        result["fit_meta"]["model_spec"]["n_users"] = len(many)

    where = []
    for night in range(3):
        run = a_run(tmp_path, run_id=f"run-{night}", end=END + timedelta(days=night))
        ready(database, run, change)
        accept(database, run)
        publish(run)
        where.append(database.execute(pages).fetchall())
    assert len({page for _, page in where[0]}) > 20
    assert where[0] == where[1] == where[2]


def test_every_check_has_a_file_and_a_severity():
    assert sorted(file.stem for file in (SQL / "checks").glob("*.sql")) == CHECKS


def test_every_check_is_kept_with_its_finding(database, tmp_path, capsys):
    run = a_run(tmp_path)
    ready(database, run)
    assert check(run) == {"passed": len(CHECKS), "warnings": 0, "of": len(CHECKS)}
    rows = dict(database.execute("select check_name, finding from irt.run_check where passed").fetchall())
    assert sorted(rows) == CHECKS
    assert rows["row_counts"] == "3 items and 4 abilities loaded; the result says 3 and 4"
    assert rows["linking_constants"] == "slope 1.2, intercept 0.4, 5 of 1 anchors used, at least 5 needed"
    log = capsys.readouterr().out
    assert all(f"check {name}" in log for name in CHECKS)
    # One line per check, and the one before them; none from the provider.
    assert "Rows affected" not in log
    assert state(database, run) == "accepted"


def test_an_item_out_of_range_is_named_with_the_parameters_that_it_has(database, tmp_path):
    for name, change, said in (
        ("run-2pl", spoil("item_params", 0, "params", "a", value=-0.2), "a -0.2, b "),
        ("run-3pl", spoil("item_params", 2, value=GUESSED), "; first: item 3, a 1, b 0, c 0.7"),
    ):
        run = a_run(tmp_path, run_id=name)
        ready(database, run, change)
        with pytest.raises(ChecksFailedError):
            check(run)
        query = "select finding from irt.run_check where run_key = %s and check_name = 'parameters_in_range'"
        [(finding,)] = database.execute(query, [run.run_key])
        assert said in finding
        assert not finding.endswith(("c ", " ", ","))


def spoil(*path, value=None):
    def change(result):
        holder = result
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = value

    return change


GUESSED = {
    "item_id": "3", "model": "3PL", "params": {"a": 1, "b": 0, "c": 0.7}, "se": {"a": 0.1, "b": 0.1, "c": 0.1},
}  # fmt: skip
LINKING = ("fit_meta", "model_spec", "linking_constants")


def guessed(se_c):
    return GUESSED | {"params": {"a": 1, "b": 0, "c": 0.2}, "se": {"a": 0.1, "b": 0.1, "c": se_c}}


@pytest.mark.parametrize(
    ("failing", "change"),
    [
        ("row_counts", spoil("fit_meta", "model_spec", "n_items", value=4)),
        ("row_counts", spoil("fit_meta", "model_spec", "n_users", value=3)),
        ("parameters_in_range", spoil("item_params", 0, "params", "a", value=-0.2)),
        ("parameters_in_range", spoil("item_params", 0, "params", "a", value=10.5)),
        ("parameters_in_range", spoil("item_params", 2, "params", "b", value=-16)),
        ("parameters_in_range", spoil("item_params", 2, value=GUESSED)),
        ("standard_errors", spoil("item_params", 1, "se", "b", value=0)),
        ("standard_errors", spoil("item_params", 1, "se", "a", value=None)),
        ("standard_errors", spoil("item_params", 2, value=guessed(0))),
        ("standard_errors", spoil("item_params", 2, value=guessed(None))),
        ("standard_errors", spoil("abilities", 0, "se", value=-0.4)),
        ("convergence", spoil("fit_meta", "metrics", "converged", value=False)),
        ("convergence", spoil("fit_meta", "metrics", value={"converged": True})),
        ("excluded_items", spoil("excluded", "items", value=[{"item_id": "9", "reason": "all correct"}])),
        ("ability_distribution", spoil("abilities", value=[{"user_id": u, "theta": 2.5, "se": 1} for u in "wxyz"])),
        ("linking_constants", spoil(*LINKING, value=None)),
        ("linking_constants", spoil(*LINKING, "slope", value=0)),
        ("linking_constants", spoil(*LINKING, "n_anchors_used", value=4)),
    ],
)
def test_a_run_that_fails_a_check_changes_nothing_for_consumers(database, tmp_path, failing, change):
    whole_chain(database, a_run(tmp_path))
    before = published(database)
    bad = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1))
    ready(database, bad, change)
    with pytest.raises(ChecksFailedError, match=failing):
        check(bad)
    assert state(database, bad) == "rejected"
    verdicts = database.execute("select check_name, passed from irt.run_check where run_key = %s", [bad.run_key])
    verdicts = dict(verdicts.fetchall())
    # Every check ran, although one failed.
    assert sorted(verdicts) == CHECKS
    failed = {name for name, passed in verdicts.items() if not passed}
    assert failing in failed
    # A figure that is far off has also changed.
    assert failed - {failing} <= {"anchors_left", "difficulty_shift", "difficulty_moved", "users_lost"}
    # Marking the check as a success does not let it be published either.
    with pytest.raises(BadDataError, match="is rejected: only a run whose checks passed is published"):
        publish(bad)
    assert published(database) == before


def test_a_held_anchor_and_a_rasch_slope_need_no_standard_error(database, tmp_path):
    def change(result):
        result["item_params"][0] |= {"anchor": "fixed", "se": {"a": None, "b": None}}
        result["item_params"][1] |= {"model": "Rasch", "se": {"a": None, "b": 0.1}}

    run = a_run(tmp_path)
    ready(database, run, change)
    assert check(run)["passed"] == len(CHECKS)


def test_guessing_has_a_standard_error_of_its_own(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run, spoil("item_params", 2, value=guessed(0.05)))
    assert check(run)["passed"] == len(CHECKS)


def test_a_bank_that_is_not_to_be_linked_needs_no_constants(database, tmp_path):
    run = a_run(tmp_path, bank={"linking": {"method": "none"}})
    ready(database, run, spoil(*LINKING, value=None), anchors=())
    assert check(run)["passed"] == len(CHECKS)


def test_a_bank_that_lost_its_anchors_is_rejected(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run, spoil(*LINKING, value=None), anchors=())
    with pytest.raises(ChecksFailedError, match="slope missing, intercept missing, missing of 0 anchors used"):
        check(run)


def test_every_task_may_run_again(database, tmp_path):
    run = a_run(tmp_path)
    whole_chain(database, run)
    before = published(database)
    for task in (check, publish, publish):
        task(run)
        assert published(database) == before
    # Loaded again, it is another publication with the same figures.
    for task in (load, load, check, publish, publish):
        task(run)
    after = published(database)
    assert [[row[:3] for row in table] for table in after[:2]] == [[row[:3] for row in table] for table in before[:2]]
    assert {row[-1] for table in after for row in table} == {stamp(database, "run-1/math")}
    counts = database.execute("select (select count(*) from irt.run_item), (select count(*) from irt.run_ability)")
    assert counts.fetchone() == (3, 4)
    # The load between the two publications is gone.
    assert database.execute("select count(*), count(distinct load_id) from irt.load_item").fetchone() == (6, 2)


def test_a_load_that_breaks_leaves_the_earlier_rows(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run)
    database.execute("alter table irt.load_ability add constraint no_u3 check (user_id <> 'u3') not valid")
    with pytest.raises(Exception, match="no_u3"):
        load(run)
    assert database.execute("select count(*) from irt.run_item").fetchone() == (3,)


def test_a_publication_that_breaks_publishes_nothing(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run)
    check(run)
    database.execute("alter table mirt_fit_meta add constraint none check (run_id is null)")
    with pytest.raises(Exception, match="none"):
        publish(run)
    assert published(database) == [[], [], []]
    assert state(database, run) == "accepted"


def test_an_older_run_never_overwrites_a_newer_publication(database, tmp_path):
    newer = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1))
    whole_chain(database, newer)
    before = published(database)
    older = a_run(tmp_path)
    ready(database, older, spoil("item_params", 0, "params", "b", value=1.5))
    check(older)
    with pytest.raises(AirflowSkipException, match="superseded by run-2/math"):
        publish(older)
    assert published(database) == before
    assert state(database, older) == "superseded"


def test_nor_after_the_newer_runs_tasks_were_cleared(database, tmp_path):
    """Its state in the registry is then no longer "published", but consumers still read it."""
    newer = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1))
    whole_chain(database, newer)
    before = published(database)
    check(newer)
    assert state(database, newer) == "accepted"
    older = a_run(tmp_path)
    ready(database, older)
    check(older)
    with pytest.raises(AirflowSkipException, match="superseded by run-2/math"):
        publish(older)
    assert published(database) == before


def test_the_next_night(database, tmp_path):
    whole_chain(database, a_run(tmp_path))

    def change(result):
        del result["item_params"][2], result["abilities"][3]
        result["item_params"][0]["params"]["b"] = -1.5
        result["fit_meta"]["model_spec"] |= {"n_items": 2, "n_users": 3}

    whole_chain(database, a_run(tmp_path, run_id="run-2", end=END + timedelta(days=1)), change)
    items, abilities, meta = published(database)
    # Items that were not calibrated again keep their old row.
    first, second = stamp(database, "run-1/math"), stamp(database, "run-2/math")
    assert first < second
    assert [(i[0], i[2]["b"], i[4]) for i in items] == [("1", -1.5, second), ("2", 0, second), ("3", 1, first)]
    assert [a[5] for a in abilities] == [second] * 3 + [first]
    assert [m[0] for m in meta] == ["run-1/math", "run-2/math"]


def test_rows_of_online_updates_are_not_touched(database, tmp_path):
    database.execute("insert into mirt_ability values ('u0', 9, 9, '2PL', 'online-7', now())")
    database.execute("""insert into mirt_item_params values ('1', '2PL', '{"a": 9, "b": 9}', 'online-7', now())""")
    whole_chain(database, a_run(tmp_path))
    assert database.execute("select theta from mirt_ability where version = 'online-7'").fetchall() == [(9.0,)]
    assert database.execute("select params ->> 'a' from mirt_item_params where item_id = '1'").fetchone() == ("9",)


def test_a_dry_run_publishes_nothing(database, tmp_path):
    run = a_run(tmp_path, dry_run=True)
    with pytest.raises(AirflowSkipException, match="dry run"):
        whole_chain(database, run)
    assert published(database) == [[], [], []]
    assert state(database, run) == "accepted"


@pytest.mark.parametrize("wanted", [True, False])
def test_question_meta_is_updated_on_request_and_anchors_keep_theirs(database, tmp_path, wanted):
    for item, tags in ((1, ["anchor"]), (2, ["x"]), (3, None)):
        meta = {"tags": tags, "irt": {"a": 5, "b": 5}, "title": "t"} if tags else {}
        database.execute("insert into question (id, topic_id, meta) values (%s, 'math', %s)", [item, json.dumps(meta)])
    whole_chain(database, a_run(tmp_path, publish_question_meta=wanted))
    metas = dict(database.execute("select id, meta from question").fetchall())
    assert metas[1]["irt"] == {"a": 5, "b": 5}
    if wanted:
        assert metas[2] == {
            "tags": ["x"], "title": "t", "irt": {"a": 1.2, "b": 0, "model": "2PL", "version": "math"},
        }  # fmt: skip
        assert metas[3] == {"irt": {"a": 1.3, "b": 1, "model": "2PL", "version": "math"}}
    else:
        assert metas[2]["irt"] == {"a": 5, "b": 5}
        assert metas[3] == {}


@pytest.mark.parametrize("meta", ["[]", "1", '"x"', "null"])
def test_a_question_whose_meta_is_no_object_does_not_stop_the_bank(database, tmp_path, meta):
    database.execute("insert into question (id, topic_id, meta) values (2, 'math', %s), (3, 'math', '{}')", [meta])
    assert whole_chain(database, a_run(tmp_path, publish_question_meta=True))["question_meta"] == 1
    assert database.execute("select meta from question where id = 2").fetchone()[0] == json.loads(meta)


def test_banks_live_side_by_side(database, tmp_path):
    whole_chain(database, a_run(tmp_path))
    other = a_run(tmp_path, bank={"name": "physics"})
    whole_chain(database, other, lambda r: [item.update(item_id=f"9{item['item_id']}") for item in r["item_params"]])
    items, abilities, meta = published(database)
    assert {i[3] for i in items} == {"math", "physics"}
    assert len(abilities) == 8
    assert [m[0] for m in meta] == ["run-1/math", "run-1/physics"]


def night_that_ended(database, tmp_path, run_id, days, how):
    """A run whose window ends this many days later: published, rejected, only loaded, or a dry run."""
    bank = {"name": "physics"} if how == "rejected in another bank" else {}
    run = a_run(tmp_path, bank=bank, run_id=run_id, end=END + timedelta(days=days), dry_run=how == "dry run")
    ready(database, run, spoil("fit_meta", "metrics", "converged", value=not how.startswith("rejected")))
    if how.startswith("rejected"):
        with pytest.raises(ChecksFailedError):
            check(run)
    elif how != "loaded":
        check(run)
    if how == "published":
        publish(run)


@pytest.mark.parametrize(
    ("nights", "recovered_from"),
    [
        ([(0, "rejected")], "run-0/math"),
        ([(0, "loaded")], "run-0/math"),
        ([(0, "published"), (1, "rejected")], "run-1/math"),
        ([(0, "rejected"), (1, "published")], None),
        # A late night: its window decides which run is the previous one, not the time at which it ran.
        ([(1, "published"), (0, "rejected")], None),
        # A repeated night: of two runs with one window, the later one.
        ([(0, "published"), (0, "rejected")], "run-1/math"),
        ([(0, "rejected"), (0, "published")], None),
        # A dry run neither fails nor recovers anything.
        ([(0, "published"), (1, "dry run")], None),
        ([(0, "rejected"), (1, "dry run")], "run-0/math"),
        ([(4, "rejected")], None),
        ([(0, "rejected in another bank")], None),
    ],
)
def test_a_publication_recovers_from_the_run_before(database, tmp_path, nights, recovered_from):
    for n, (days, how) in enumerate(nights):
        night_that_ended(database, tmp_path, f"run-{n}", days, how)
    run = a_run(tmp_path, run_id="run-9", end=END + timedelta(days=2))
    ready(database, run)
    check(run)
    pushed = {}
    instance = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    PublishOperator(task_id="publish", run=run.to_dict()).execute({"ti": instance})
    assert pushed == ({RECOVERED: recovered_from} if recovered_from else {})
