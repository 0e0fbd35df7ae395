"""The sources of answers, what makes a view with unchecked casts fail, and answers that belong to no bank."""

from __future__ import annotations

from datetime import timedelta

import pytest

from irt.banks import banks_of
from irt.errors import BadDataError
from irt.run import plan_run
from irt.staging import RESPONSES
from tests.chain import check, ready
from tests.plugins.production import make_production_view
from tests.plugins.test_extract import extract, staged
from tests.runs import END, FORM, SMALL, a_run, exam

EXAMS = {"extract": {"source": "exam_results"}}


def element(item, is_correct=True, *, topic="math", **more):
    """An answer as in production's exams: without a time."""
    given = {"question_id": item, "is_correct": is_correct, "topic": topic, "time_spent_sec": 30, "used_hints": 0}
    return given | more


GOOD = [element(1), element(2, False), element(3)]


@pytest.fixture
def production(database):
    make_production_view(database)
    return database


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (element("Q-17"), "question_id 'Q-17'"),
        (element(17.5), "question_id '17.5'"),
        (element(4, "maybe"), "is_correct 'maybe'"),
        (element(4, None, correct="perhaps"), "correct 'perhaps'"),
    ],
)
def test_one_exam_that_the_view_cannot_read_is_named(production, tmp_path, bad, named):
    exam(production, GOOD)
    session = exam(production, [element(5), bad], user="user-2")
    # However old: the view casts before the time is filtered.
    production.execute("update exam_results set updated_at = '2020-01-01' where session_id = %s", [session])
    said = rf"exam \S+ \(session {session}\), answer 2: {named}.*source: exam_results"
    with pytest.raises(BadDataError, match=said):
        extract(a_run(tmp_path))


def test_an_error_that_no_exam_explains_is_told_as_it_is(production, tmp_path):
    exam(production, GOOD)
    production.execute("alter view attempt rename to those")
    production.execute(
        "create view attempt as select id, student_id, (1 / (item_id - item_id)) as item_id, correct, completed_at, "
        "session_id, topic_id from those; grant select on attempt to irt_pipeline"
    )
    with pytest.raises(OSError, match="division by zero"):
        extract(a_run(tmp_path))


def test_read_from_the_exams_it_is_one_answer_that_is_left_out(production, tmp_path):
    exam(production, [*GOOD, element(4, "maybe"), element(""), element(5, None)])
    exam(production, [*GOOD[:2], element("Q-17", "TRUE")], user="6d5a2d6e-0000-4000-8000-00000000000A")
    exam(production, {"not": "a list"}, user="user-3")
    exam(production, [element(9, topic="history")])
    counts = extract(run := a_run(tmp_path, bank=EXAMS))
    assert staged(run) == sorted([("1", True), ("2", False), ("3", True), ("1", True), ("2", False), ("Q-17", True)])
    assert (counts["no_item"], counts["no_correctness"], counts["exams_unreadable"]) == (1, 2, 1)


def test_both_sources_give_the_same_responses(production, tmp_path):
    """Everything that occurs: numbers and booleans as text, one of two fields, repeats, all forms of users."""
    users = ["6d5a2d6e-0000-4000-8000-00000000000a", "1234", "kim@example.org", None]
    for n, user in enumerate(users):
        exam(
            production,
            [
                element("1", "true"), element(2, None, correct=False), element(3, None, correct="false"),
                {"question_id": 4, "correct": True, "topic": "math"}, element(1, False), element(5, topic=None),
            ],
            user=user,
        )  # fmt: skip
        production.execute(
            "update exam_results set updated_at = %s where session_id = %s", [END - timedelta(n), f"s{n}"]
        )
    by_view, by_exams = a_run(tmp_path), a_run(tmp_path, run_id="run-2", bank=EXAMS)
    counts = extract(by_view), extract(by_exams)
    assert staged(by_view) == staged(by_exams) != []
    assert by_view.staged(RESPONSES).read_bytes() == by_exams.staged(RESPONSES).read_bytes()
    for name in ("attempts", "no_user", "responses", "repeated", "users", "items", "last_answer_at"):
        assert counts[0][name] == counts[1][name]


def test_an_exam_of_the_bank_needs_no_session(production, tmp_path):
    exam(production, GOOD, exam_id=5)
    production.execute("update exam_results set session_id = 'shared'")
    exam(production, GOOD, user="user-2", exam_id=6)
    counts = extract(a_run(tmp_path, bank=EXAMS | {"topics": [], "exams": [5]}))
    assert counts["responses"] == 3


def test_answers_that_no_bank_takes_are_counted_and_judged(database, tmp_path, capsys):
    exam(database, [*GOOD, element(7, topic=None), element(8, topic="history")])
    exam(database, [element(9, topic="physics")], exam_id=9)
    exam(database, [element(9, topic="physics")], exam_id=None)
    run = a_run(tmp_path, others=[{"name": "physics", "topics": ["physics"], "exams": [9]}])
    ready(database, run)
    counts = database.execute("select counts from irt.run").fetchone()[0]
    # One without a topic, one of a topic and one of an exam that no bank names.
    assert counts["window_answers"] - 3 == 7
    assert (counts["without_topic"], counts["passed_over"]) == (1, 3)
    assert "Passed over: 3 of the window's 10 answers, which belong to no bank (1 have no topic, 1 no exam id)" in (
        capsys.readouterr().out
    )
    assert check(run)["warnings"] == 1
    finding = "select passed, figure, finding from irt.run_check where check_name = 'answers_passed_over'"
    passed, figure, text = database.execute(finding).fetchone()
    assert (passed, figure) == (False, pytest.approx(0.3))
    assert text == "3 of 10 answers of the window belong to no bank, 1 without a topic; at most 5.0 % allowed"


def test_it_is_counted_by_the_default_bank_alone(database, tmp_path):
    banks = banks_of([{"name": name, "topics": [name], "minimum": SMALL} for name in ("math", "physics")])
    exam(database, [element(i, topic="physics", answered_at=None) | {"topic_id": "physics"} for i in (1, 2, 3)])
    run = plan_run(
        banks["physics"], banks=banks, dag_run_id="run-1", end=END, staging=tmp_path.as_uri(), params=FORM
    )  # fmt: skip
    assert "passed_over" not in extract(run)


def test_a_bank_of_everything_passes_nothing_over(database, tmp_path):
    exam(database, [element(i, topic=None) for i in (1, 2, 3)])
    counts = extract(a_run(tmp_path, bank={"topics": [], "everything": True}))
    assert (counts["responses"], counts["passed_over"]) == (3, 0)
