"""Which attempts are answers: rapid ones, hints, items not reached, users with very many; from both sources."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from irt.bank import Bank
from irt.effort import effort_figures, not_reached, wrong_throughout
from irt.errors import SchemaError
from irt.run import Run
from tests.plugins.test_attempt_columns import make_attempt
from tests.plugins.test_extract import THREE, extract, staged
from tests.runs import END, a_run, answer, exam

SOURCES = pytest.mark.parametrize("source", ["view", "exam_results"])
POLICIES = pytest.mark.parametrize("policy", ["first", "last"])
NOTHING_TO_JUDGE = {
    "answers_timed": 0, "answers_untimed": 3, "answers_rapid": 0,
    "sessions": 0, "sessions_unordered": 0, "sessions_not_reached": 0,
}  # fmt: skip


def run_of(tmp_path, source, *, run_id="run-1", **options) -> Run:
    form = {"attempt_policy": options.pop("policy", "as configured"), "max_responses": options.pop("most", None)}
    return a_run(tmp_path, bank={"extract": {"source": source}} | options, run_id=run_id, **form)


def timed(*answers: tuple, first: int = 11, gap: float = 0.001) -> list[dict]:
    """(milliseconds, correct) in the order in which they were given; items 11, 12, ..."""
    return [
        answer(item, correct, days=1 - gap * place, response_time_ms=ms)
        for place, (item, (ms, correct)) in enumerate(enumerate(answers, start=first))
    ]


def figures(counts: dict) -> dict:
    return {name: counts[name] for name in NOTHING_TO_JUDGE}


@SOURCES
def test_without_options_everything_stays(database, tmp_path, source):
    exam(database, [*timed((1, False), (2, False), (3, False)), answer(9, True, hint_used=True)])
    exam(database, THREE)
    counts = extract(run_of(tmp_path, source))
    assert counts["responses"] == 7
    assert all(counts[name] == 0 for name in ("hinted", "not_reached", "rapid", "over_user_limit", "users_over_limit"))


@SOURCES
def test_rapid_answers_are_left_out_and_counted(database, tmp_path, source, capsys):
    """Only a known time is too short: 0 is what a view writes for none, and a clock may run backwards."""
    times = [999, 1000, 0, -5, None, "fast", 1]
    exam(database, [answer(item, True, response_time_ms=ms) for item, ms in enumerate(times, start=1)])
    run = run_of(tmp_path, source, min_response_ms=1000)
    counts = extract(run)
    assert staged(run) == [(str(item), True) for item in (2, 3, 4, 5, 6)]
    assert (counts["rapid"], counts["answers_timed"], counts["answers_untimed"]) == (2, 1, 4)
    log = capsys.readouterr().out
    assert "Left out by the bank's options: 0 after a hint (hinted), 0 not reached (not_reached), 2 rapid" in log
    assert "min_response_ms: 4 answers have no response time and are kept" in log


@SOURCES
def test_if_all_are_rapid_the_bank_is_skipped(database, tmp_path, source):
    exam(database, timed((5, True), (5, False), (5, True)))
    with pytest.raises(AirflowSkipException, match="no usable answers"):
        extract(run_of(tmp_path, source, min_response_ms=6))
    counts = database.execute("select counts from irt.run").fetchone()[0]
    assert (counts["attempts"], counts["rapid"], counts["responses"], counts["answers_timed"]) == (3, 3, 0, 0)


@SOURCES
def test_answers_after_a_hint(database, tmp_path, source):
    hints = [True, False, None, "perhaps"]
    exam(database, [answer(item, True, hint_used=hint) for item, hint in enumerate(hints, start=1)])
    run = run_of(tmp_path, source, hinted="leave_out")
    counts = extract(run)
    assert (counts["hinted"], staged(run)) == (1, [("2", True), ("3", True), ("4", True)])


def test_the_fields_of_productions_exams(database, tmp_path):
    """Seconds, as number or text, and the number of hints; a second field of that meaning decides nothing."""
    fields = [
        {"time_spent_sec": 0.5}, {"time_spent_sec": "0.9"}, {"time_spent_sec": 1}, {"used_hints": 1},
        {"used_hints": "2"}, {"used_hints": 0}, {"hint_used": "TRUE"}, {"hint_used": False, "used_hints": 3},
        {"time_spent_sec": 1e300}, {"response_time_ms": -1e300}, {"time_spent_sec": "1e3"}, {"used_hints": "many"},
        {"attempt_no": 1e300}, {"attempt_no": "2"}, {"time_spent_sec": [1]}, {"used_hints": {"n": 1}},
    ]  # fmt: skip
    exam(database, [answer(item, True) | more for item, more in enumerate(fields, start=1)])
    counts = extract(run := run_of(tmp_path, "exam_results", min_response_ms=1000, hinted="leave_out"))
    assert (counts["rapid"], counts["hinted"]) == (2, 3)
    assert sorted(int(item) for item, _ in staged(run)) == [3, 6, *range(8, 17)]
    assert (counts["answers_timed"], counts["answers_untimed"]) == (2, 9)


def test_no_number_of_an_exam_is_too_large(database, tmp_path):
    """PostgreSQL's jsonb holds numbers of 131,072 digits, of which the thousandfold is an error."""
    exam(database, THREE)
    for sign in ("", "-"):
        database.execute(
            "update exam_results set result_json = jsonb_set(result_json, '{questions,0,time_spent_sec}', %s::jsonb)",
            [f"{sign}1e131071"],
        )
        assert extract(run_of(tmp_path, "exam_results"))["answers_timed"] == (0 if sign else 1)


@SOURCES
@POLICIES
@pytest.mark.parametrize("rapid_first", [True, False])
def test_an_answer_that_is_left_out_hides_no_other(database, tmp_path, source, policy, rapid_first):
    """First what is no answer, then which of the answers counts."""
    days = (3, 2) if rapid_first else (2, 3)
    rapid, slow = answer(1, False, days=days[0], response_time_ms=5), answer(1, True, days=days[1])
    exam(database, [rapid, slow, *THREE[1:]] if rapid_first else [slow, rapid, *THREE[1:]])
    counts = extract(run := run_of(tmp_path, source, min_response_ms=500, policy=policy))
    assert dict(staged(run))["1"] is True
    assert (counts["rapid"], counts["repeated"], counts["pairs_repeated"]) == (1, 0, 0)


ENDS = {
    "a run of wrong answers": ([(30_000, True), (5_000, False), (300, False), (200, False)], 2, 0),
    "exactly the limit is not faster": ([(30_000, True), (1_000, False), (999, False), (1, False)], 2, 0),
    "no time at all, in a session with times": ([(30_000, True), (0, False), (0, False), (0, False)], 3, 0),
    "a right answer ends it": ([(30_000, True), (300, False), (200, False), (100, True), (9, False)], 0, 4),
    "one is no run": ([(30_000, True), (30_000, True), (0, False)], 0, 0),
    "an unknown time ends it": ([(30_000, True), (300, False), (200, False), (None, False)], 0, 2),
    "a negative time ends it": ([(30_000, True), (300, False), (200, False), (-1, False)], 0, 2),
    "no time in the whole session": ([(0, False), (0, False), (0, False)], 0, 0),
    "all of it": ([(300, False), (200, False), (100, False)], 3, 0),
    "in the middle": ([(300, False), (200, False), (30_000, False)], 0, 2),
    "what follows cannot be used": ([(30_000, True), (300, False), (200, False), (30_000, None)], 2, 0),
}


@SOURCES
@pytest.mark.parametrize("case", ENDS)
def test_items_not_reached(database, tmp_path, source, case):
    answers, n_not_reached, n_rapid = ENDS[case]
    exam(database, timed(*answers))
    exam(database, THREE, user="user-2")
    run = run_of(tmp_path, source, min_response_ms=1000, not_reached="leave_out")
    counts = extract(run)
    assert (counts["not_reached"], counts["rapid"]) == (n_not_reached, n_rapid)
    usable = [item for item, (_, correct) in enumerate(answers, start=11) if correct is not None]
    kept = [int(item) for item, _ in staged(run) if int(item) > 10]
    assert len(kept) == len(usable) - n_not_reached - n_rapid
    if n_rapid == 0:
        assert kept == usable[: len(kept)]


@SOURCES
def test_the_end_is_by_time_not_by_place(database, tmp_path, source):
    exam(database, timed((30_000, True), (300, False), (200, False), (30_000, True))[::-1])
    exam(database, timed((30_000, True), (30_000, True), (300, False), (200, False))[::-1], user="user-2")
    counts = extract(run_of(tmp_path, source, min_response_ms=1000, not_reached="leave_out"))
    assert (counts["not_reached"], counts["rapid"]) == (2, 2)


@SOURCES
def test_one_moment_has_an_end_only_in_an_exam(database, tmp_path, source, capsys):
    """A view's ids may be hashes, which order nothing; and production's view has one time for the whole exam."""
    exam(database, timed((30_000, True), (0, False), (0, False), gap=0))
    exam(database, timed((0, False), (0, False), (30_000, True), gap=0), user="user-2")
    counts = extract(run_of(tmp_path, source, min_response_ms=1000, not_reached="leave_out"))
    known = source == "exam_results"
    assert counts["not_reached"] == (2 if known else 0)
    assert (counts["sessions"], counts["sessions_unordered"]) == ((1, 0) if known else (0, 2))
    said = "not_reached: 2 sessions have the same time for all answers, so that their end is unknown"
    assert (said in capsys.readouterr().out) is not known


@SOURCES
def test_a_tie_with_the_last_other_answer_is_in_doubt_in_a_view(database, tmp_path, source):
    """Two of the three rapid wrong answers came at the moment of a slow one; an exam knows that they came after it."""
    first, slow, *rapid = timed((30_000, True), (30_000, True), (0, False), (0, False), (0, False))
    for each in rapid[:2]:
        each["answered_at"] = slow["answered_at"]
    exam(database, [first, slow, *rapid])
    exam(database, THREE, user="user-2")
    counts = extract(run_of(tmp_path, source, min_response_ms=1000, not_reached="leave_out"))
    assert counts["not_reached"] == (3 if source == "exam_results" else 0)


def test_answers_without_a_session_have_no_end(database, tmp_path):
    exam(database, timed((30_000, True), (0, False), (0, False)))
    exam(database, timed((30_000, True), (0, False), (0, False)), user="user-2")
    database.execute("update exam_results set session_id = null where user_id = 'user-1'")
    counts = extract(run_of(tmp_path, "view", min_response_ms=1000, not_reached="leave_out"))
    assert (counts["not_reached"], counts["sessions"]) == (2, 0)
    database.execute("update exam_results set session_id = null")
    counts = extract(run_of(tmp_path, "view", min_response_ms=1000, not_reached="leave_out"))
    assert (counts["not_reached"], counts["sessions"], counts["responses"]) == (0, 0, 6)


def test_each_is_counted_once_by_the_first_rule(database, tmp_path):
    exam(database, [answer(1, True, days=2), *timed((9_000, True), (300, False), (200, False), (100, False))])
    exam(database, [*THREE, answer(8, True, response_time_ms=5)], user="user-2")
    database.execute(
        "update exam_results set result_json = jsonb_set(result_json, '{questions,4,hint_used}', 'true') "
        "where user_id = 'user-1'"
    )
    counts = extract(run_of(tmp_path, "view", min_response_ms=1000, not_reached="leave_out", hinted="leave_out"))
    assert (counts["attempts"], counts["responses"]) == (9, 5)
    assert (counts["hinted"], counts["not_reached"], counts["rapid"]) == (1, 2, 1)


@SOURCES
@pytest.mark.parametrize(("most", "dropped", "users"), [(4, 0, 0), (3, 2, 2), (2, 4, 2), (1, 7, 3), (0, 0, 0)])
def test_the_latest_answers_of_each_user(database, tmp_path, source, most, dropped, users, capsys):
    """Two users with four answers, one with two; exactly the limit is not above it."""
    for user in ("a", "b"):
        exam(database, [answer(item, True, days=item) for item in (3, 1, 4, 2)], user=user)
    exam(database, [answer(item, True, days=item) for item in (7, 6)], user="c")
    run = run_of(tmp_path, source, max_answers_per_user=most, minimum={"responses": 1, "users": 1, "items": 3})
    if most == 1:
        run = run_of(tmp_path, source, max_answers_per_user=1, minimum={"responses": 1, "users": 1})
        with pytest.raises(AirflowSkipException, match="2 items"):
            extract(run)
        counts = database.execute("select counts from irt.run").fetchone()[0]
    else:
        counts = extract(run)
    assert (counts["over_user_limit"], counts["users_over_limit"]) == (dropped, users)
    kept = [item for item in (1, 2, 3, 4) if not most or item <= most]
    latest = [6, 7] if most != 1 else [6]
    assert sorted(int(item) for item, _ in staged(run)) == sorted(2 * kept + latest)
    if most == 3:
        assert "2 of 2 users with too many (max_answers_per_user)" in capsys.readouterr().out


@SOURCES
def test_of_answers_of_one_moment_the_last_ones_of_the_user_are_kept(database, tmp_path, source):
    exam(database, [answer(item, True) for item in (7, 3, 9, 1, 8)])
    run = run_of(tmp_path, source, max_answers_per_user=3)
    assert extract(run)["over_user_limit"] == 2
    assert [item for item, _ in staged(run)] == ["1", "8", "9"]


@POLICIES
def test_the_limit_of_a_user_counts_one_answer_per_item(database, tmp_path, policy):
    """Repeats are settled before: item 1 counts by its first or its last answer."""
    exam(database, [answer(1, True, days=9), *(answer(item, True, days=item) for item in (2, 3, 4)), answer(1, True)])
    run = run_of(tmp_path, "view", max_answers_per_user=3, policy=policy)
    counts = extract(run)
    assert [int(item) for item, _ in staged(run)] == ([2, 3, 4] if policy == "first" else [1, 2, 3])
    assert (counts["repeated"], counts["over_user_limit"]) == (1, 1)


def test_both_limits(database, tmp_path):
    exam(database, [answer(item, True, days=item) for item in range(1, 8)], user="a")
    exam(database, [answer(item, True, days=item + 0.5) for item in range(11, 14)], user="b")
    counts = extract(run := run_of(tmp_path, "view", max_answers_per_user=4, most=5))
    assert (counts["over_user_limit"], counts["over_limit"], counts["responses"]) == (3, 2, 5)
    assert sorted(int(item) for item, _ in staged(run)) == [1, 2, 3, 4, 11]


@POLICIES
@pytest.mark.parametrize("numbers", [(1, 2), (2, 1), (None, 2)])
def test_the_number_of_the_attempt_orders_repeats_of_one_moment(database, tmp_path, policy, numbers):
    """Before the id, which in production is a hash. Where it is unknown, it is the first."""
    make_attempt(database)
    database.execute("alter table attempt add attempt_no smallint")
    # The last row repeats item 0 of the first.
    for (row, correct), number in zip(((0, True), (4, False)), numbers):
        database.execute("update attempt set attempt_no = %s, correct = %s where id = %s", [number, correct, row])
    extract(run := a_run(tmp_path, attempt_policy=policy))
    by_number = {number or 0: correct for number, correct in zip(numbers, (True, False))}
    expected = by_number[min(by_number) if policy == "first" else max(by_number)]
    assert dict(staged(run))["0"] is expected


def test_a_number_that_the_view_would_have_to_sort_for_is_not_read(database, tmp_path):
    """A window function orders by time, so that it says nothing of answers of one moment."""
    make_attempt(database)
    database.execute("alter table attempt rename to those")
    view = "create view attempt as select *, {} as attempt_no from those; grant select on attempt to irt_pipeline"
    for expression, expected in (("(5 - id::int)", False), ("row_number() over (order by 5 - id::int)", True)):
        database.execute("drop view if exists attempt")
        database.execute(view.format(expression))
        database.execute("update those set correct = id <> 4")
        extract(run := a_run(tmp_path))
        # The last row repeats item 0 of the first.
        assert dict(staged(run))["0"] is expected


def test_repeats_are_compared(database, tmp_path):
    """Three answers to item 1 and two each to items 2 and 3; item 3 agrees."""
    again = [(1, True), (1, True), (1, False), (2, False), (2, True), (3, False), (3, False), (4, True)]
    exam(database, [answer(item, correct, days=n + 1) for n, (item, correct) in enumerate(again)])
    exam(database, [answer(1, False)], user="user-2")
    counts = extract(run_of(tmp_path, "view"))
    assert (counts["repeated"], counts["pairs_repeated"], counts["pairs_disagree"]) == (4, 3, 2)


LACKING = {"min_response_ms": (1000, "response_time_ms"), "hinted": ("leave_out", "hint_used")}


@pytest.mark.parametrize("option", LACKING)
def test_an_option_without_its_column_fails_at_once(database, tmp_path, option):
    """The view of the test has neither; without the option it is read as before."""
    make_attempt(database)
    value, column = LACKING[option]
    run = a_run(tmp_path, bank={option: value})
    with pytest.raises(SchemaError, match=f"{column} is missing, needed .*, for the option {option}: {value} of bank"):
        extract(run)
    assert database.execute("select count(*) from irt.run").fetchone() == (0,)
    assert extract(a_run(tmp_path))["answers_timed"] == 0


@pytest.mark.parametrize("kind", ["smallint", "bigint", "numeric", "real", "double precision"])
def test_times_of_any_numeric_type(database, tmp_path, kind):
    make_attempt(database)
    database.execute(f"alter table attempt add response_time_ms {kind}, add hint_used boolean, add attempt_no bigint")
    huge = {"smallint": 32_767}.get(kind, 9_000_000_000_000_000_000)
    values = [999, huge, -3, None, 1000]
    for row, ms in enumerate(values):
        database.execute("update attempt set response_time_ms = %s, attempt_no = 9e18 where id = %s", [ms, row])
    counts = extract(a_run(tmp_path, bank={"min_response_ms": 1000}))
    assert (counts["rapid"], counts["answers_timed"], counts["responses"]) == (1, 2, 4)


@pytest.mark.parametrize(
    ("column", "kind"), [("response_time_ms", "interval"), ("hint_used", "integer"), ("attempt_no", "text")]
)
def test_a_column_of_another_type_is_refused(database, tmp_path, column, kind):
    make_attempt(database)
    database.execute(f"alter table attempt add {column} {kind}")
    with pytest.raises(SchemaError, match=f"{column} is {kind}, needed"):
        extract(a_run(tmp_path))


def test_a_window_with_one_answer(database, tmp_path):
    exam(database, timed((300, False)))
    with pytest.raises(AirflowSkipException, match="1 items"):
        extract(run_of(tmp_path, "view", max_answers_per_user=1))
    counts = database.execute("select counts from irt.run").fetchone()[0]
    assert (counts["answers_timed"], counts["answers_rapid"], counts["sessions"]) == (1, 1, 0)


def test_an_option_that_needs_another():
    with pytest.raises(ValueError, match="not_reached: leave_out needs min_response_ms"):
        Bank.model_validate({"name": "x", "topics": ["x"], "not_reached": "leave_out"})


def test_a_run_that_was_planned_before_has_no_options(tmp_path):
    fields = a_run(tmp_path).to_dict()
    for name in ("min_response_ms", "hinted", "not_reached", "max_answers_per_user"):
        del fields[name]
    for name in ("rapid_ms", "min_judged_answers"):
        del fields["checks"][name]
    run = Run.from_dict(json.loads(json.dumps(fields)))
    assert (run.min_response_ms, run.hinted, run.not_reached, run.max_answers_per_user) == (0, "keep", "keep", 0)
    assert (run.thresholds["rapid_ms"], run.thresholds["max_a"], "severity" in run.thresholds) == (1000, 10.0, False)


def attempts_of(rows: list[tuple]) -> pa.Table:
    """(session, minute, id, milliseconds, correct)"""
    session, minute, row, ms, correct = zip(*rows)
    return pa.table(
        {
            "session": pa.array(session, pa.int64()),
            "completed_at": pa.array([END + timedelta(minutes=int(m)) for m in minute], pa.timestamp("us", tz="UTC")),
            "id": pa.array(row, pa.int64()),
            "response_time_ms": pa.array(ms, pa.int32()),
            "correct": pa.array(correct, pa.bool_()),
        }
    )


def one_by_one(rows: list[tuple], limit: int, in_order: bool) -> list[bool]:
    """As `not_reached`, as one would do it by hand: from the end of each session."""
    found = [False] * len(rows)
    for session in {row[0] for row in rows} - {None}:
        places = sorted((row[1], row[2], n) for n, row in enumerate(rows) if row[0] == session)
        of_session = [rows[n] for *_, n in places]
        several = len({row[1] for row in of_session}) > 1
        if not (in_order or several) or max(row[3] for row in of_session) <= 0:
            continue
        run = []
        for minute, _, n in reversed(places):
            if rows[n][4] or not 0 <= rows[n][3] < limit:
                run = run if in_order else [m for m in run if rows[m][1] > minute]
                break
            run.append(n)
        for n in run if len(run) >= 2 else []:
            found[n] = True
    return found


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_it_finds_what_one_finds_by_hand(seed, in_order):
    rng = np.random.default_rng(seed)
    rows = [
        (
            [None, -(2**63), 2**63 - 1, 2**63 - 2, *range(5)][rng.integers(9)],
            rng.integers(1 + seed % 6),
            n,
            [-1, 0, 0, 400, 500, 600][rng.integers(6)],
            bool(rng.random() < 0.2),
        )
        for n in rng.permutation(40)
    ]
    attempts = attempts_of(rows)
    expected = one_by_one(rows, 500, in_order)
    assert not_reached(attempts, 500, in_order=in_order).tolist() == expected
    ending = {row[0] for row, found in zip(rows, expected) if found}
    assert effort_figures(attempts, 500, in_order=in_order)["sessions_not_reached"] == len(ending)


def test_nothing_read():
    empty = attempts_of([(1, 0, 0, 0, True)]).slice(0, 0)
    assert effort_figures(empty, 1000, in_order=False) == NOTHING_TO_JUDGE | {"answers_untimed": 0}


def test_users_who_are_wrong_throughout():
    users = ["a"] * 3 + ["b"] * 3 + ["c"] * 2
    responses = pa.table(
        {
            "user_id": pa.array(users).dictionary_encode(),
            "is_correct": [False, False, False, False, True, False, False, False],
        }
    )
    assert wrong_throughout(responses, 3) == {"users_judged": 2, "users_wrong_throughout": 1}
    assert wrong_throughout(responses, 2) == {"users_judged": 3, "users_wrong_throughout": 2}
    assert wrong_throughout(responses.slice(0, 0), 2) == {"users_judged": 0, "users_wrong_throughout": 0}
