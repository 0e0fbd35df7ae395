"""Extraction on a real PostgreSQL: which answers become responses, and what is reported about the others."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from irt.errors import SchemaError
from irt.operators.extract import ExtractAnchorsOperator, ExtractResponsesOperator
from irt.responses import _sorted
from irt.staging import ANCHORS, RESPONSES
from local.postgres import LOGIN
from tests.runs import END, a_run, answer, exam


def extract(run) -> dict[str, int]:
    return ExtractResponsesOperator(task_id="extract_responses", run=run.to_dict()).execute({})


def staged(run) -> list[tuple[str, bool]]:
    with run.staged(RESPONSES).open("rb") as file:
        rows = pq.read_table(file).to_pylist()
    return sorted((row["item_id"], row["is_correct"]) for row in rows)


def anchors(run, items=range(1, 10)) -> tuple[dict, list]:
    """The counts and the staged anchors of a run with responses to these items."""
    ids = [str(item) for item in items]
    responses = pa.table({"user_id": ["u"] * len(ids), "item_id": ids, "is_correct": [True] * len(ids)})
    with run.write_staged(RESPONSES) as file:
        pq.write_table(responses, file)
    counts = ExtractAnchorsOperator(task_id="extract_anchors", run=run.to_dict()).execute({})
    with run.staged(ANCHORS).open("r") as file:
        return counts, json.load(file)


THREE = [answer(1, True), answer(2, False), answer(3, True)]


def test_the_answers_of_the_bank(database, tmp_path, capsys):
    exam(database, [*THREE, answer(9, True, topic="history")])
    exam(database, THREE, user="user-2")
    run = a_run(tmp_path)
    counts = extract(run)
    assert counts == {
        "attempts": 6, "no_user": 0, "no_item": 0, "no_correctness": 0,
        "responses": 6, "users": 2, "items": 3, "repeated": 0, "over_limit": 0,
        "exams_in_doubt": 0, "last_answer_at": "2026-04-30T03:00:00Z",
        "window_answers": 7, "without_topic": 0, "passed_over": 1,
        "hinted": 0, "not_reached": 0, "rapid": 0, "over_user_limit": 0, "users_over_limit": 0,
        "answers_timed": 0, "answers_untimed": 6, "answers_rapid": 0,
        "sessions": 0, "sessions_unordered": 0, "sessions_not_reached": 0,
        "pairs_repeated": 0, "pairs_disagree": 0, "users_judged": 0, "users_wrong_throughout": 0,
    }  # fmt: skip
    assert staged(run) == sorted([("1", True), ("2", False), ("3", True)] * 2)
    assert "Loaded 6 observations from attempt view" in capsys.readouterr().out
    row = database.execute("select state, bank, counts ->> 'responses' from irt.run where run_key = 'run-1/math'")
    assert row.fetchone() == ("running", "math", "6")


def test_what_cannot_be_used_is_left_out_and_counted(database, tmp_path, capsys):
    exam(database, [*THREE, answer(4, None), answer(5, "yes"), answer(None, True), answer("x", True), answer(6, 1)])
    exam(database, [answer(1, True), answer(None, None)], user=None)
    exam(database, [answer(1, False)], user="  ")
    run = a_run(tmp_path)
    counts = extract(run)
    assert (counts["attempts"], counts["responses"]) == (11, 3)
    # Each is counted once: without user first, then without item, then without correctness.
    assert (counts["no_user"], counts["no_item"], counts["no_correctness"]) == (3, 2, 3)
    assert staged(run) == [("1", True), ("2", False), ("3", True)]
    assert "3 without user, 2 without item, 3 without correctness" in capsys.readouterr().out


@pytest.mark.parametrize(("policy", "kept"), [("first", False), ("last", True)])
def test_one_answer_of_a_user_to_an_item(database, tmp_path, policy, kept):
    exam(database, [answer(1, True, days=1), answer(1, True, days=2), answer(1, False, days=3), *THREE[1:]])
    counts = extract(run := a_run(tmp_path, attempt_policy=policy))
    assert dict(staged(run))["1"] is kept
    assert (counts["responses"], counts["repeated"]) == (3, 2)


@pytest.mark.parametrize(("policy", "kept"), [("first", False), ("last", True)])
def test_answers_at_the_same_moment_are_told_by_their_id(database, tmp_path, policy, kept):
    exam(database, [answer(1, False), answer(1, True), *THREE[1:]])
    extract(run := a_run(tmp_path, attempt_policy=policy))
    assert dict(staged(run))["1"] is kept


def test_an_answer_without_correctness_does_not_hide_a_later_one(database, tmp_path):
    exam(database, [answer(1, None, days=3), answer(1, True, days=2), *THREE[1:]])
    extract(run := a_run(tmp_path))
    assert dict(staged(run))["1"] is True


def test_the_window_is_half_open(database, tmp_path):
    at_days = {1: 60, 2: 60.0001, 3: 0, 4: 0.0001}
    exam(database, [answer(item, True, days=days) for item, days in at_days.items()])
    run = a_run(tmp_path)
    with pytest.raises(AirflowSkipException, match="2 items, the bank's minimum is 3"):
        extract(run)
    assert staged(run) == [("1", True), ("4", True)]


def test_the_most_recent_responses(database, tmp_path):
    exam(database, [answer(item, True, days=item) for item in range(1, 8)])
    counts = extract(run := a_run(tmp_path, max_responses=4))
    assert [item for item, _ in staged(run)] == ["1", "2", "3", "4"]
    assert (counts["responses"], counts["over_limit"], counts["repeated"]) == (4, 3, 0)


@pytest.mark.parametrize("source", ["view", "exam_results"])
def test_of_answers_of_one_moment_at_the_limit_the_last_ones_are_kept(database, tmp_path, source):
    """The newest come first, whatever their exam; at the same moment, the last of the exam."""
    exam(database, [answer(10, True, days=1)], user="newer")
    exam(database, [answer(item, True, days=2) for item in (7, 3, 9, 1, 8, 2, 6, 4, 5)])
    exam(database, [answer(11, True, days=3)], user="older")
    counts = extract(run := a_run(tmp_path, max_responses=4, bank={"extract": {"source": source}}))
    assert {item for item, _ in staged(run)} == {"10", "6", "4", "5"}
    assert (counts["responses"], counts["over_limit"]) == (4, 7)


def test_a_bank_by_exam(database, tmp_path):
    exam(database, THREE, exam_id=5)
    exam(database, [answer(7, True), answer(8, True)], user="user-2", exam_id=6)
    extract(run := a_run(tmp_path, bank={"topics": [], "exams": [5]}))
    assert staged(run) == [("1", True), ("2", False), ("3", True)]


def test_exams_without_a_session_of_their_own_are_left_out_and_counted(database, tmp_path, capsys):
    exam(database, THREE, exam_id=5)
    exam(database, THREE, user="without", exam_id=5)
    exam(database, THREE, user="shared with another exam", exam_id=5)
    exam(database, [answer(9, True)], user="the other exam", exam_id=6)
    exam(database, THREE, user="shared with none", exam_id=5)
    exam(database, THREE, user="again the same exam", exam_id=5)
    exam(database, THREE, user="shared with one of the bank's", exam_id=7)
    for session, positions in ((None, [2]), ("x", [3, 4]), ("y", [5, 6, 7])):
        database.execute("update exam_results set session_id = %s where id = any(%s)", [session, positions])
    run = a_run(tmp_path, bank={"topics": [], "exams": [5, 7]})
    counts = extract(run)
    assert (counts["exams_in_doubt"], counts["responses"]) == (2, 12)
    assert staged(run) == sorted([("1", True), ("2", False), ("3", True)] * 4)
    assert "Left out: the answers of 2 exams whose session is missing or shared" in capsys.readouterr().out


def test_exams_in_doubt_are_those_of_the_window(database, tmp_path):
    start, instant = END - timedelta(days=60), timedelta(microseconds=1)
    exam(database, THREE, exam_id=5)
    for n, at in enumerate((start - instant, start, END - instant, END)):
        session = exam(database, THREE, user=f"without {n}", exam_id=5)
        query = "update exam_results set session_id = null, updated_at = %s where session_id = %s"
        database.execute(query, [at, session])
    assert extract(a_run(tmp_path, bank={"topics": [], "exams": [5]}))["exams_in_doubt"] == 2


def test_topics_are_bound_not_pasted(database, tmp_path):
    topic = "수학'); drop table question; -- \\' %s %(x)s \"$1"
    exam(database, [answer(i, True, topic=topic) for i in (1, 2, 3)])
    assert extract(a_run(tmp_path, bank={"topics": [topic]}))["responses"] == 3
    anchors(a_run(tmp_path, bank={"topics": [topic]}))
    assert database.execute("select count(*) from question").fetchone() == (0,)


def test_an_empty_window_skips_the_bank(database, tmp_path, capsys):
    with pytest.raises(AirflowSkipException, match="no usable answers in"):
        extract(a_run(tmp_path))
    assert "bank math is skipped: no usable answers" in capsys.readouterr().out
    assert database.execute("select state from irt.run").fetchone() == ("skipped",)


def test_too_few_for_the_bank(database, tmp_path):
    exam(database, THREE)
    minimum = {"responses": 1, "users": 2, "items": 3, "item_responses": 1}
    with pytest.raises(AirflowSkipException, match="1 users, the bank's minimum is 2"):
        extract(a_run(tmp_path, bank={"minimum": minimum}))


def test_a_retry_changes_nothing_but_what_is_new(database, tmp_path):
    exam(database, THREE)
    run = a_run(tmp_path)
    first = extract(run)
    bytes_before = run.staged(RESPONSES).read_bytes()
    assert extract(run) == first
    assert run.staged(RESPONSES).read_bytes() == bytes_before
    assert database.execute("select count(*) from irt.run").fetchone() == (1,)


def test_no_schema_is_an_error_not_a_skip(database, tmp_path):
    database.execute("drop view attempt")
    with pytest.raises(Exception, match="attempt"):
        extract(a_run(tmp_path))


def question(connection: psycopg.Connection, item: int, irt, tags=("anchor",), topic="math") -> None:
    meta = {"tags": list(tags)} | ({"irt": irt} if irt is not None else {})
    connection.execute("insert into question (id, topic_id, meta) values (%s, %s, %s)", [item, topic, json.dumps(meta)])


def test_anchors_and_seeds(database, tmp_path, capsys):
    question(database, 1, {"a": 1.25, "b": -0.5})
    question(database, 2, {"a": "0.8", "b": "1", "c": 0.2}, tags=["x"])
    question(database, 3, None)
    # The question's own topic does not matter: the bank's answers name it.
    question(database, 4, {"a": 1, "b": 1}, topic="history")
    question(database, 5, {"a": 1, "b": 1})
    counts, found = anchors(a_run(tmp_path), items=[1, 2, 3, 4])
    assert found == [
        {"item_id": "1", "params": {"a": 1.25, "b": -0.5}, "fixed": True},
        {"item_id": "2", "params": {"a": 0.8, "b": 1.0, "c": 0.2}, "fixed": False},
        {"item_id": "4", "params": {"a": 1.0, "b": 1.0}, "fixed": True},
    ]
    assert counts == {"anchors": 2, "seeds": 1, "unusable": 1, "start": 0}
    log = capsys.readouterr().out
    assert "question 3: tagged as an anchor, but without meta.irt; left out as anchor" in log
    assert "Loaded 3 anchors/seeds from question.meta: 2 anchors, 1 seeds; 1 left out without usable parameters" in log


@pytest.mark.parametrize(
    ("irt", "fault"),
    [
        ({"a": "x", "b": 0}, "a is 'x', not a number"),
        ({"b": 0}, "a is None, not a number"),
        ({"a": 1}, "b is None, not a number"),
        ({"a": 0, "b": 0}, "a is '0', out of range"),
        ({"a": -1, "b": 0}, "a is '-1', out of range"),
        ({"a": 1, "b": "NaN"}, "b is 'NaN', out of range"),
        ({"a": 1, "b": {"x": 1}}, "b is .*not a number"),
        ({"a": 1, "b": 0, "c": 1}, "c is '1', out of range"),
    ],
)
def test_an_unusable_anchor_is_left_out_and_named(database, tmp_path, capsys, irt, fault):
    question(database, 7, irt)
    counts, found = anchors(a_run(tmp_path))
    assert (found, counts["unusable"]) == ([], 1)
    assert re.search(rf"question 7: meta.irt.{fault}; left out as anchor", capsys.readouterr().out)


def test_a_rasch_anchor_needs_no_slope(database, tmp_path):
    question(database, 1, {"b": 0.5})
    _, found = anchors(a_run(tmp_path, bank={"model": "Rasch"}))
    assert found[0]["params"] == {"a": 1.0, "b": 0.5}


ODD_META = ["[]", "1", '{"irt": 5}', '{"irt": []}', '{"tags": "anchor", "irt": {"a": 1, "b": 0}}']


@pytest.mark.parametrize("meta", ODD_META)
def test_odd_question_meta_harms_nothing(database, tmp_path, meta):
    database.execute("insert into question (id, topic_id, meta) values (1, 'math', %s)", [meta])
    counts, found = anchors(a_run(tmp_path))
    # A tag may be a word instead of a list of words; the other forms hold nothing usable.
    expected = [{"item_id": "1", "params": {"a": 1.0, "b": 0.0}, "fixed": True}] if "anchor" in meta else []
    assert (found, counts["unusable"]) == (expected, 0)


def test_a_database_that_lacks_a_migration_is_told_before_work_starts(database, tmp_path):
    exam(database, THREE)
    database.execute("delete from _yoyo_migration where migration_id = '0003_registry'")
    run = a_run(tmp_path)
    with pytest.raises(SchemaError, match=r"lacks 0003_registry: run \./irt migrate") as caught:
        extract(run)
    # It names the database, and nothing secret.
    assert f"the database {database.info.dbname} at {database.info.host}:" in str(caught.value)
    assert LOGIN not in str(caught.value)
    assert not run.staged(RESPONSES).exists()


def test_the_order_of_ids_that_do_not_fit_into_one_number_with_their_row():
    """A bank with so many users and items is too large to test; its numbers are not."""
    for numbers in ([5, 3, 3, 4], [2**62, 3, 2**62, 2**61]):
        values, rows = _sorted(np.array(numbers, np.int64))
        assert values.tolist() == sorted(numbers)
        assert [numbers[row] for row in rows] == sorted(numbers)
        assert sorted(rows.tolist()) == [0, 1, 2, 3]
