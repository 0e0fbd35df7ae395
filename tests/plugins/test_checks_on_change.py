"""The checks that compare a run with the last publication."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta

import pytest

from irt.bank import Bank
from irt.errors import ChecksFailedError
from tests.chain import check, load, ready, state, whole_chain
from tests.runs import END, a_run

TOMORROW = END + timedelta(days=1)
ITEMS = 20


def bank_of(difficulties, users=range(10), **spec):
    """A result with one item per difficulty, and these users."""

    def change(result):
        first = result["item_params"][0]
        result["item_params"] = [
            first | {"item_id": str(n), "params": {"a": 1.0, "b": b}} for n, b in enumerate(difficulties, start=1)
        ]
        result["abilities"] = [{"user_id": f"u{u}", "theta": u / 5 - 1, "se": 0.4, "n_responses": 3} for u in users]
        result["fit_meta"]["model_spec"] |= {"n_items": len(difficulties), "n_users": len(users)} | spec

    return change


def verdict(database, run, name):
    query = (
        "select passed, severity, figure, threshold, finding from irt.run_check where run_key = %s and check_name = %s"
    )
    return database.execute(query, [run.run_key, name]).fetchone()


@pytest.fixture
def second_night(database, tmp_path):
    """Publishes a bank with difficulties -1, -0.9, ... and judges the next night, as changed by the test."""
    before = [n / 10 - 1 for n in range(ITEMS)]
    bank = {}

    def judge(change, **settings):
        bank["checks"] = settings
        whole_chain(database, a_run(tmp_path, bank=bank), bank_of(before))
        run = a_run(tmp_path, bank=bank, run_id="run-2", end=TOMORROW)
        changed = change(before)
        ready(database, run, changed if callable(changed) else bank_of(*changed))
        return run

    return judge


def test_nothing_changed(database, second_night):
    run = second_night(lambda before: (before,))
    assert check(run)["warnings"] == 0
    assert verdict(database, run, "difficulty_correlation")[2] == pytest.approx(1.0)
    assert verdict(database, run, "difficulty_shift")[2] == 0
    assert verdict(database, run, "difficulty_moved")[2] == 0
    assert verdict(database, run, "users_lost")[2] == 0
    assert verdict(database, run, "loglik_per_answer")[2] == 0


def test_another_order_of_the_items_is_rejected(database, second_night):
    """As after a change of the answer keys: the same difficulties, but of other items."""
    run = second_night(lambda before: (before[::-1],))
    with pytest.raises(
        ChecksFailedError, match=r"difficulty_correlation: correlation of b -1.0000 with run run-1/math"
    ):
        check(run)
    assert verdict(database, run, "difficulty_correlation")[:4] == (False, "fail", pytest.approx(-1.0), ">= 0.9")


def test_ten_items_in_common_are_enough_to_judge_their_order(database, second_night):
    run = second_night(lambda before: (before[:10][::-1],))
    with pytest.raises(ChecksFailedError, match="difficulty_correlation: .* -1.0000 with .* over 10 items"):
        check(run)
    assert verdict(database, run, "difficulty_correlation")[:3] == (False, "fail", pytest.approx(-1.0))


def test_nine_are_too_few(database, second_night):
    run = second_night(lambda before: (before[:9][::-1],))
    check(run)
    passed, _, figure, _, finding = verdict(database, run, "difficulty_correlation")
    assert (passed, figure) == (True, pytest.approx(-1.0))
    assert finding == "9 items in common with the last publication: too few to judge"


def test_a_shifted_scale_is_rejected(database, second_night):
    run = second_night(lambda before: ([b + 0.35 for b in before],))
    with pytest.raises(ChecksFailedError, match="difficulty_shift: mean of b shifted by 0.3500 since run run-1/math"):
        check(run)
    assert verdict(database, run, "difficulty_shift")[2] == pytest.approx(0.35)


def test_a_few_items_that_moved_far_are_a_warning(database, second_night):
    run = second_night(lambda before: ([b + 0.6 * (n % 3 == 0) for n, b in enumerate(before)],), min_b_correlation=0.5)
    assert check(run)["warnings"] == 1
    passed, severity, figure, threshold, finding = verdict(database, run, "difficulty_moved")
    assert (passed, severity, figure, threshold) == (False, "warn", pytest.approx(7 / 20), "<= 0.2")
    assert "7 of 20 items moved by more than 0.5" in finding
    assert state(database, run) == "accepted"


def test_lost_users_are_a_warning_or_as_the_bank_says(database, second_night):
    run = second_night(lambda before: (before, range(5)), severity={"users_lost": "fail"})
    with pytest.raises(ChecksFailedError, match="users_lost: 5 of 10 users of run run-1/math are not in this one"):
        check(run)
    assert verdict(database, run, "users_lost")[:3] == (False, "fail", pytest.approx(0.5))


def test_another_loglik_per_answer_is_a_warning(database, second_night):
    def change(before):
        def worse(result):
            bank_of(before)(result)
            result["fit_meta"]["metrics"]["loglik"] = -7.5 - 0.11 * 12

        return worse

    run = second_night(change)
    assert check(run)["warnings"] == 1
    assert verdict(database, run, "loglik_per_answer")[:3] == (False, "warn", pytest.approx(-0.11))


def test_few_anchors_left_is_rejected(database, tmp_path):
    run = a_run(tmp_path)
    anchors = [str(n) for n in range(1, 13)]
    ready(database, run, bank_of([n / 10 for n in range(ITEMS)]), anchors=anchors)
    with pytest.raises(ChecksFailedError, match="anchors_left: 5 of 12 anchors left for the linking"):
        check(run)
    assert verdict(database, run, "anchors_left")[:3] == (False, "fail", pytest.approx(5 / 12))


def test_an_anchor_that_the_service_excluded_was_sent(database, tmp_path):
    """It excluded seven of twelve anchors with answers, so only five hold the scale."""
    run = a_run(tmp_path)
    excluded = [str(n) for n in range(ITEMS + 1, ITEMS + 8)]

    def change(result):
        bank_of([n / 10 for n in range(ITEMS)])(result)
        result["excluded"]["items"] = [{"item_id": item, "reason": "all correct"} for item in excluded]

    # The last one has no answers, so it was not in the request.
    ready(database, run, change, anchors=["1", "2", "3", "4", "5", *excluded, "999"])
    with pytest.raises(ChecksFailedError, match="anchors_left: 5 of 12 anchors left for the linking"):
        check(run)
    assert "5 of 12 anchors used" in verdict(database, run, "linking_constants")[4]


def test_old_answers_are_a_warning(database, tmp_path):
    run = a_run(tmp_path, end=END + timedelta(days=3))
    ready(database, run)
    assert check(run)["warnings"] == 1
    passed, _, figure, _, finding = verdict(database, run, "freshness")
    assert (passed, figure) == (False, pytest.approx(4.0))
    assert finding.startswith("the newest answer is from 2026-04-30T03:00:00Z, 4.00 days before the end of the window")


def test_the_first_run_of_a_bank_has_nothing_to_be_compared_with(database, tmp_path):
    run = a_run(tmp_path)
    ready(database, run)
    assert check(run)["warnings"] == 0
    assert "nothing to judge" in verdict(database, run, "users_lost")[4]


def test_a_run_is_compared_with_the_newest_publication_before_it_and_never_with_its_own(database, tmp_path):
    for n in range(3):
        whole_chain(database, a_run(tmp_path, run_id=f"run-{n}", end=END + timedelta(days=n)))
    last = a_run(tmp_path, run_id="run-2", end=END + timedelta(days=2))
    assert "since run run-1/math" in verdict(database, last, "difficulty_shift")[4]
    # Loaded again after its publication, it is another load of the same run.
    load(last)
    check(last)
    assert "since run run-1/math" in verdict(database, last, "difficulty_shift")[4]
    first = a_run(tmp_path, run_id="run-0")
    load(first)
    check(first)
    assert "nothing to judge" in verdict(database, first, "difficulty_shift")[4]


def test_severities_and_thresholds_are_checked_when_the_banks_are_read():
    with pytest.raises(ValueError, match="there is no check 'users_gone'"):
        Bank.model_validate({"name": "x", "topics": ["x"], "checks": {"severity": {"users_gone": "warn"}}})
    with pytest.raises(ValueError, match="'fail' or 'warn'"):
        Bank.model_validate({"name": "x", "topics": ["x"], "checks": {"severity": {"users_lost": "maybe"}}})


def stated(database, difficulties: dict[str, float | str | None]) -> None:
    """What question.meta says of the anchors."""
    for item, b in difficulties.items():
        meta = {"tags": ["anchor"], "irt": {"a": 1.0 + int(item) / 100, "b": b}}
        database.execute("insert into question (id, meta) values (%s, %s)", [item, json.dumps(meta)])


@pytest.mark.parametrize(("reference", "passes"), [(lambda n: n / 5 - 1, True), (lambda n: (7 * n % 12) / 5, False)])
def test_anchors_joined_to_the_wrong_items_are_rejected(database, tmp_path, reference, passes):
    """Whatever the service says of them: the old one does not look."""
    run = a_run(tmp_path)
    anchors = [str(n) for n in range(1, 13)]
    no_parameters = {"13": "not a number", "14": None, "15": "1e999"}
    stated(database, {item: reference(int(item)) for item in anchors} | no_parameters)

    def change(result):
        bank_of([n / 10 for n in range(ITEMS)])(result)
        result["fit_meta"]["model_spec"]["linking_constants"]["n_anchors_used"] = 12

    ready(database, run, change, anchors=anchors)
    if passes:
        check(run)
    else:
        with pytest.raises(ChecksFailedError, match="anchor_agreement: 12 anchors: b correlates with question.meta"):
            check(run)
    found = verdict(database, run, "anchor_agreement")
    assert found[:2] == (passes, "fail")
    assert (found[2] == pytest.approx(1.0)) == passes


@pytest.mark.parametrize(("role", "agree"), [("drifted", True), ("used", False)])
def test_anchors_that_drifted_are_not_compared(database, tmp_path, role, agree):
    """Three of 15 anchors are much easier than stated; the service says whether they link."""
    run = a_run(tmp_path)
    stated(database, {str(n): n / 10 + (9.0 if n <= 3 else 0.0) for n in range(1, 16)})

    def change(result):
        bank_of([n / 10 for n in range(ITEMS)])(result)
        result["fit_meta"]["model_spec"]["linking_constants"]["n_anchors_used"] = 12
        for item in result["item_params"][:3]:
            item["anchor"] = role

    ready(database, run, change, anchors=[str(n) for n in range(1, 16)])
    with contextlib.suppress(ChecksFailedError):
        check(run)
    found = verdict(database, run, "anchor_agreement")
    assert found[0] == agree and (found[2] == pytest.approx(1.0)) == agree
    assert found[4].startswith("12 anchors" if agree else "15 anchors")


@pytest.mark.parametrize(("linking", "n"), [("none", 12), ("stocking_lord", 4)])
def test_a_bank_without_linking_or_with_few_anchors_has_no_agreement_to_judge(database, tmp_path, linking, n):
    run = a_run(tmp_path, linking_method=linking)
    stated(database, {str(item): -item / 5 for item in range(1, n + 1)})
    ready(database, run, bank_of([n / 10 for n in range(ITEMS)]), anchors=["1", "2"])
    with contextlib.suppress(ChecksFailedError):
        check(run)
    assert verdict(database, run, "anchor_agreement")[0]


@pytest.mark.parametrize(("n_lost", "passes"), [(0, True), (1, True), (2, False)])
def test_items_that_share_no_user_with_the_others_are_named(database, tmp_path, n_lost, passes):
    """One of 21 items is 4.8 %, two of 22 are 9.1 %; 5 % may be."""
    run = a_run(tmp_path)

    def change(result):
        bank_of([n / 10 for n in range(ITEMS)])(result)
        component = {"items": n_lost, "users": 7}
        result["excluded"]["items"] = [
            {"item_id": f"9{n}", "reason": "not linked", "n_responses": 7, "p_correct": 0.5, "component": component}
            for n in range(n_lost)
        ]

    ready(database, run, change)
    with contextlib.suppress(ChecksFailedError):
        check(run)
    found = verdict(database, run, "connected")
    assert found[:2] == (passes, "fail")
    assert found[2] == pytest.approx(n_lost / (ITEMS + n_lost))
    assert ("; first: item 90 in a group of" in found[4]) == (n_lost > 0)
