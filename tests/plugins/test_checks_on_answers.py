"""The checks on how the answers were given: each just inside and just outside its limit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from irt.operators.check import CheckRunOperator
from tests.chain import CHECKS, check, ready, whole_chain
from tests.plugins.test_checks_on_change import ITEMS, TOMORROW, bank_of, verdict
from tests.runs import a_run, answer, exam

NEW = ["rapid_answers", "not_reached", "wrong_throughout", "repeats_disagree", "answers_jumped"]
MINUTE = 1 / 24 / 60


def session(database, user: str, answers: list[tuple], **more) -> None:
    """One exam of a user, a minute per answer: (milliseconds, correct), items 11, 12, ..."""
    given = [
        answer(11 + n, correct, days=1 - n * MINUTE, response_time_ms=ms) | more
        for n, (ms, correct) in enumerate(answers)
    ]
    exam(database, given, user=user)


def judged(database, run, name):
    """What a check finds, and whether it is the only warning."""
    ready(database, run)
    warnings = check(run)["warnings"]
    passed, severity, figure, threshold, finding = verdict(database, run, name)
    assert (warnings, severity) == (0 if passed else 1, "warn")
    return passed, figure, threshold, finding


@pytest.mark.parametrize(("n_rapid", "passes"), [(20, True), (21, False)])
def test_rapid_answers(database, tmp_path, n_rapid, passes):
    """Of 200 timed answers; those without a time do not count."""
    for user in range(20):
        session(database, f"u{user}", [(999 if 10 * user + n < n_rapid else 1000, True) for n in range(10)])
    passed, figure, threshold, finding = judged(database, a_run(tmp_path), "rapid_answers")
    assert (passed, figure, threshold) == (passes, pytest.approx(n_rapid / 200), "<= 0.1")
    assert f"{n_rapid} of 200 answers with a response time took less than 1000 ms" in finding
    assert finding.endswith("; probably guesses: min_response_ms leaves them out") is not passes


def test_the_option_answers_the_finding(database, tmp_path):
    for user in range(20):
        session(database, f"u{user}", [(500 if n < 2 else 9000, True) for n in range(10)])
    passed, figure, _, finding = judged(database, a_run(tmp_path, bank={"min_response_ms": 501}), "rapid_answers")
    assert (passed, figure) == (True, 0)
    assert finding == "0 of 160 answers with a response time took less than 1000 ms, at most 10.0 % allowed"


def test_the_limits_of_a_bank(database, tmp_path):
    for user in range(20):
        session(database, f"u{user}", [(500 if n < 2 else 9000, True) for n in range(10)])
    inside = {"max_rapid_share": 0.2}
    assert judged(database, a_run(tmp_path, bank={"checks": inside}), "rapid_answers")[0]
    other = a_run(tmp_path, run_id="run-2", bank={"checks": {"rapid_ms": 500}})
    assert judged(database, other, "rapid_answers")[:2] == (True, 0)


def test_few_timed_answers_are_not_judged(database, tmp_path):
    for user in range(11):
        session(database, f"u{user}", [(5, True)] * 9)
    passed, figure, _, finding = judged(database, a_run(tmp_path), "rapid_answers")
    assert (passed, figure, finding) == (True, 1.0, "99 answers with a response time: too few to judge")


@pytest.mark.parametrize(("n_ending", "passes"), [(2, True), (3, False)])
def test_sessions_that_end_in_rapid_wrong_answers(database, tmp_path, n_ending, passes):
    """Of 20; the one with a single answer and the one whose answers have one time have no end to judge."""
    for user in range(20):
        tail = [(0, False), (700, False)] if user < n_ending else [(0, False), (700, True)]
        session(database, f"u{user}", [(9000, True), (9000, False), *tail])
    session(database, "single", [(9000, False)])
    exam(database, [answer(item, False, response_time_ms=1000) for item in (1, 2)], user="one moment")
    passed, figure, threshold, finding = judged(database, a_run(tmp_path), "not_reached")
    assert (passed, figure, threshold) == (passes, pytest.approx(n_ending / 20), "<= 0.1")
    assert f"{n_ending} of 20 sessions end in wrong answers that took less than 1000 ms each" in finding
    assert ("not_reached: leave_out" in finding) is not passes
    assert "in 1 other sessions all answers have the same time" in finding


def test_sessions_without_items_not_reached(database, tmp_path):
    for user in range(20):
        session(database, f"u{user}", [(9000, True), (9000, False), (0, False), (0, False)])
    bank = {"min_response_ms": 1000, "not_reached": "leave_out"}
    assert judged(database, a_run(tmp_path, bank=bank), "not_reached")[:2] == (True, 0)


@pytest.mark.parametrize(("n_sessions", "passes"), [(19, True), (20, False)])
def test_few_sessions_are_not_judged(database, tmp_path, n_sessions, passes):
    for user in range(n_sessions):
        session(database, f"u{user}", [(9000, True), (0, False), (0, False)])
    passed, _, _, finding = judged(database, a_run(tmp_path), "not_reached")
    assert (passed, "too few to judge" in finding) == (passes, passes)


@pytest.mark.parametrize(("n_wrong", "passes"), [(1, True), (2, False)])
def test_users_who_are_wrong_throughout(database, tmp_path, n_wrong, passes):
    """Of 20 users with ten answers; users with nine, and the one with three, are not judged."""
    for user in range(20):
        session(database, f"u{user}", [(None, user >= n_wrong and n == 5) for n in range(10)])
    for user in range(5):
        session(database, f"nine {user}", [(None, False)] * 9)
    passed, figure, threshold, finding = judged(database, a_run(tmp_path), "wrong_throughout")
    assert (passed, figure, threshold) == (passes, pytest.approx(n_wrong / 20), "<= 0.05")
    assert f"{n_wrong} of 20 users with at least 10 answers are wrong throughout" in finding
    assert ("did not try (min_response_ms" in finding) is not passes


@pytest.mark.parametrize(("n_disagree", "passes"), [(10, True), (11, False)])
def test_repeats_that_disagree(database, tmp_path, n_disagree, passes):
    for user in range(20):
        exam(database, [answer(11, True, days=2), answer(11, user >= n_disagree, days=1)], user=f"u{user}")
    passed, figure, threshold, finding = judged(database, a_run(tmp_path), "repeats_disagree")
    assert (passed, figure, threshold) == (passes, pytest.approx(n_disagree / 20), "<= 0.5")
    assert f"of 20 items answered repeatedly by the same user, {n_disagree} were right and wrong" in finding
    assert ("attempt_policy says which answer counts (now the first)" in finding) is not passes


@pytest.mark.parametrize("n_pairs", [0, 19])
def test_few_repeats_are_not_judged(database, tmp_path, n_pairs):
    for user in range(n_pairs):
        exam(database, [answer(11, True, days=2), answer(11, False)], user=f"u{user}")
    passed, _, _, finding = judged(database, a_run(tmp_path), "repeats_disagree")
    assert (passed, finding) == (True, f"{n_pairs} items answered repeatedly by the same user: too few to judge")


def answered(numbers):
    """A result whose items have these numbers of answers."""

    def change(result):
        bank_of([n / 10 - 1 for n in range(ITEMS)])(result)
        for item, number in zip(result["item_params"], numbers):
            item["n_responses"] = number

    return change


JUMPS = {
    "two of twenty": ([310, 33] + [100] * 18, 0.1, "item 1 from 100 to 310"),
    "three of twenty": ([100, 0, 33, 301] + [100] * 16, 0.15, "item 2 from 100 to 0"),
    "exactly the factor": ([300] * 20, 0.0, "item 1 from 100 to 300"),
    "all of them": ([20] * 20, 1.0, "item 1 from 100 to 20"),
}


@pytest.mark.parametrize("case", JUMPS)
def test_items_whose_number_of_answers_jumped(database, tmp_path, case):
    numbers, share, most = JUMPS[case]
    whole_chain(database, a_run(tmp_path), answered([100] * ITEMS))
    run = a_run(tmp_path, run_id="run-2", end=TOMORROW)
    ready(database, run, answered(numbers))
    assert check(run)["warnings"] == (share > 0.1)
    passed, severity, figure, threshold, finding = verdict(database, run, "answers_jumped")
    assert (passed, severity, figure, threshold) == (share <= 0.1, "warn", pytest.approx(share), "<= 0.1")
    assert f"changed by more than a factor of 3 since run run-1/math, at most 10.0 % allowed; most: {most}" in finding
    assert ("(max_answers_per_user)" in finding) is (share > 0.1)


@pytest.mark.parametrize(
    ("before", "now", "n_items"),
    [
        ([10] * ITEMS, [49] * ITEMS, 0),
        ([100] * 9 + [1] * 11, [1000] * 9 + [1] * 11, 9),
        ([None] * ITEMS, [100] * ITEMS, 0),
    ],
    ids=["few answers", "few items", "numbers not stated"],
)
def test_few_answers_do_not_jump(database, tmp_path, before, now, n_items):
    whole_chain(database, a_run(tmp_path), answered(before))
    run = a_run(tmp_path, run_id="run-2", end=TOMORROW)
    ready(database, run, answered(now))
    check(run)
    passed, *_, finding = verdict(database, run, "answers_jumped")
    assert passed
    if before[0] is not None:
        assert finding == f"{n_items} items with 50 answers in common with a publication: too few to judge"


def test_a_run_from_before_these_checks_is_judged_by_their_defaults(database, tmp_path):
    """Extracted by an earlier version, and checked by this one: no figures, no limits, no findings."""
    run = a_run(tmp_path)
    ready(database, run)
    database.execute('update irt.load set counts = \'{"last_answer_at": "2026-04-30T03:00:00Z"}\'')
    fields = json.loads(json.dumps(run.to_dict()))
    for name in ("rapid_ms", "max_rapid_share", "max_not_reached_share", "min_judged_answers", "max_jumped_share"):
        del fields["checks"][name]
    fields["checks"]["severity"] = {}
    verdicts = CheckRunOperator(task_id="check", run=fields, checks=CHECKS).execute({})
    assert verdicts["warnings"] == 0
    for name in NEW:
        passed, _, figure, _, finding = verdict(database, run, name)
        assert (passed, figure, "too few to judge" in finding) == (True, None, True)


def an_ordinary_session(rng, gives_up: bool) -> list[dict]:
    """50 answers of one user, 3 % of them rapid; whoever gives up leaves the last three wrong."""
    ability, items = rng.normal(), rng.permutation(60)[:50]
    correct = rng.random(50) < 1 / (1 + np.exp(-(ability - rng.normal(size=50))))
    times = np.where(rng.random(50) < 0.03, rng.integers(100, 900, 50), rng.lognormal(np.log(20_000), 1, 50))
    if gives_up:
        correct[-3:], times[-3:] = False, 0
    return [
        answer(11 + int(item), bool(right), days=1 - n * MINUTE, response_time_ms=int(ms))
        for n, (item, right, ms) in enumerate(zip(items, correct, times))
    ]


def test_ordinary_answers_give_no_finding(database, tmp_path):
    """200 users: one in twenty gives up, one in four answers some items again, 40 % of them differently."""
    rng = np.random.default_rng(20261126)
    for user in range(200):
        given = an_ordinary_session(rng, gives_up=user % 20 == 0)
        exam(database, given, user=f"u{user}")
        if user % 4 == 0:
            again = [one | {"is_correct": one["is_correct"] ^ bool(rng.random() < 0.4)} for one in given[:5]]
            exam(database, again, user=f"u{user}")
    run = a_run(tmp_path)
    ready(database, run)
    assert check(run)["warnings"] == 0
    figures = {name: verdict(database, run, name)[2] for name in NEW[:4]}
    assert 0.02 < figures["rapid_answers"] < 0.05
    assert 0.01 < figures["not_reached"] < 0.1
    assert figures["wrong_throughout"] == 0
    assert 0.3 < figures["repeats_disagree"] < 0.5
