"""The task `report` on a run from exam_results on: the answers behind the items, and the staged report."""

from __future__ import annotations

import locale
import re
import uuid
from dataclasses import replace

import numpy as np
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from psycopg.types.json import Jsonb
from test_replay import BANK, calibrate

from irt.operators.extract import ExtractAnchorsOperator
from irt.operators.report import ReportOperator
from irt.staging import REPORT, RESPONSES
from tests.chain import accept, load, publish
from tests.plugins.test_extract import extract
from tests.runs import END, a_run, answer

USERS, ITEMS_DRAWN = 600, 20


@pytest.fixture
def right(database) -> np.ndarray:
    """(users, items): whether the answer was right; item 3's share does not grow with ability."""
    rng = np.random.default_rng(5)
    theta, b = rng.normal(size=USERS), rng.normal(size=ITEMS_DRAWN)
    drawn = rng.random((USERS, ITEMS_DRAWN)) < 1 / (1 + np.exp(1.5 * (b - theta[:, None])))
    drawn[:, 2] = rng.random(USERS) < 0.5
    rows = [
        (f"user-{u}", f"s{u}", 1, Jsonb({"questions": [
            answer(i + 1, bool(y), days=1 + (u + i) % 3) for i, y in enumerate(drawn[u])]}), END)
        for u in range(USERS)
    ]  # fmt: skip
    with database.cursor() as cursor:
        cursor.executemany(
            "insert into exam_results (user_id, session_id, exam_id, result_json, updated_at)"
            " values (%s, %s, %s, %s, %s)",
            rows,
        )
    return drawn


def published(database, tmp_path, **settings):
    run = a_run(tmp_path, bank=BANK | settings)
    extract(run)
    calibrate(run, tmp_path)
    load(run)
    accept(database, run)
    publish(run)
    return run


def report(run) -> str:
    return ReportOperator(task_id="report", run=run.to_dict()).execute({})


def answers(database) -> dict[str, tuple]:
    query = "select item_id, theta, answers, correct, first_day, day_answers, day_correct from irt.load_item_answers"
    return {row[0]: row[1:] for row in database.execute(query).fetchall()}


def test_answers_by_ability_and_by_day(database, tmp_path, right):
    run = published(database, tmp_path)
    report(run)
    found = answers(database)
    assert len(found) == ITEMS_DRAWN
    parameters = dict(
        (item, (a, b)) for item, a, b in database.execute("select item_id, a, b from irt.load_estimate").fetchall()
    )
    for item, (theta, n, correct, first_day, day_n, day_correct) in found.items():
        column = right[:, int(item) - 1]
        # Each answer counts once in all.
        assert sum(n) == pytest.approx(USERS, rel=1e-5) and sum(correct) == pytest.approx(column.sum(), rel=1e-5)
        a, b = parameters[item]
        share, enough = np.array(correct) / np.array(n), np.array(n) > 40
        curve = 1 / (1 + np.exp(-a * (np.array(theta) - b)))
        assert np.abs(share - curve)[enough].max() < 0.08, item
        assert (END.date() - first_day).days == 3 and sum(day_n) == USERS and sum(day_correct) == column.sum()
        for n_day in range(3):
            that_day = (2 - n_day - np.arange(USERS) - int(item) + 1) % 3 == 0
            assert day_n[n_day] == that_day.sum() and day_correct[n_day] == column[that_day].sum()


def test_without_the_times_of_the_answers_there_are_no_days(database, tmp_path, right):
    report(published(database, tmp_path, verdicts={"changed": {"action": "ignore"}}))
    assert {row[3:] for row in answers(database).values()} == {(None, None, None)}


def test_the_staged_report_and_its_hashes(database, tmp_path, right):
    run = published(database, tmp_path)
    address = report(run)
    html = run.staged(REPORT).read_text()
    assert address == str(run.staged(REPORT)) and address.endswith("/bank=math/report.html")
    assert "<p>Published at" in html and "Consumers read this run." in html
    row = database.execute("select responses_sha256, request_sha256, items_sha256 from irt.receipt").fetchone()
    shown = dict(re.findall(r'<th scope="row">(\w+\.\w+)</th><td><code>(\w+)</code>', html))
    assert (shown[RESPONSES], shown["request.json"], shown["items.parquet"]) == row
    assert "irt-engine 1.0.0" in html


def test_a_second_try_writes_the_same(database, tmp_path, right):
    run = published(database, tmp_path)
    report(run)
    before = run.staged(REPORT).read_bytes(), answers(database)
    report(run)
    assert (run.staged(REPORT).read_bytes(), answers(database)) == before


def test_the_report_is_in_the_language_of_the_bank(database, tmp_path, right):
    """And in UTF-8, whatever the worker's locale."""
    run = published(database, tmp_path, report_language="ko")
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C")
        report(run)
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    assert '<html lang="ko"' in run.staged(REPORT).read_bytes().decode("utf-8")


def test_answers_that_are_no_longer_staged(database, tmp_path, right, capsys):
    run = published(database, tmp_path)
    run.staged(RESPONSES).unlink()
    report(run)
    assert "The answers behind the items are not counted" in capsys.readouterr().out
    assert answers(database) == {} and "Consumers read this run." in run.staged(REPORT).read_text()


def test_answers_of_another_load_are_not_counted(database, tmp_path, right, capsys):
    """The extraction was cleared, and then the calibration failed; the run's result is still the earlier one."""
    run = published(database, tmp_path)
    report(run)
    before = answers(database)
    database.execute("delete from exam_results where user_id < 'user-3'")
    extract(replace(run, max_responses=5000))
    report(run)
    assert answers(database) == before
    html = run.staged(REPORT).read_text()
    assert "<dt>Responses</dt><dd>12,000</dd>" in html and "&#34;max_responses&#34;: 0," in html
    assert "The answers behind the items are not counted: load 1 is of others" in capsys.readouterr().out


def test_without_a_result_there_is_no_report(database, tmp_path, right):
    run = a_run(tmp_path, bank=BANK, run_id=f"run-{uuid.uuid4()}")
    extract(run)
    ExtractAnchorsOperator(task_id="extract_anchors", run=run.to_dict()).execute({})
    with pytest.raises(AirflowSkipException, match="has no result"):
        report(run)
    assert not run.staged(REPORT).exists()
