"""Questions that were edited within the window: from exam_results to the request, and to what consumers read."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from psycopg.types.json import Jsonb

from irt.errors import BadDataError
from irt.preflight import require_capabilities
from irt.request import Accepts, body_of, staged_settings
from irt.staging import ANCHORS, RESPONSES
from tests.chain import check, load, publish
from tests.plugins.test_extract import extract
from tests.plugins.test_groups_chain import calibrated
from tests.runs import END, a_run, answer, exam
from tests.scripted import Answer

SOURCES = pytest.mark.parametrize("source", ["view", "exam_results"])
PLAIN = {"linking": {"method": "none"}}
EDITED, EDITED_DAYS_AGO = 7, 20


def run_of(tmp_path, action="hold", source="view", **form):
    bank = PLAIN | {"extract": {"source": source}, "verdicts": {"changed": {"action": action}}}
    return a_run(tmp_path, bank=bank, **form)


def times_of(run) -> dict[str, datetime]:
    with run.staged(RESPONSES).open("rb") as file:
        return {row["item_id"]: row["responded_at"] for row in pq.read_table(file).to_pylist()}


@SOURCES
@pytest.mark.parametrize(("policy", "days"), [("first", 9), ("last", 2)])
def test_the_time_of_the_answer_that_counts_is_staged(database, tmp_path, source, policy, days):
    exam(database, [answer(1, False, days=9), answer(2, True, days=4), answer(1, True, days=2), answer(3, True)])
    extract(run := run_of(tmp_path, source=source, attempt_policy=policy))
    expected = {"1": days, "2": 4, "3": 1}
    assert times_of(run) == {item: END - timedelta(days=ago) for item, ago in expected.items()}


def test_times_are_not_staged_where_nobody_asks_for_them(database, tmp_path):
    exam(database, [answer(1, True), answer(2, True), answer(3, True)])
    extract(run := run_of(tmp_path, "ignore"))
    assert pq.read_schema(run.staged(RESPONSES).path).names == ["user_id", "item_id", "is_correct"]


def sent(run, tmp_path, accepts) -> dict:
    with (tmp_path / "body").open("w+b") as scratch, run.staged(RESPONSES).open("rb") as responses:
        body, _ = body_of(responses, accepts.known(staged_settings(run)), accepts, scratch)
        return json.loads(body.read())


@pytest.mark.parametrize("columns", [True, False])
def test_only_a_service_that_looks_for_changes_gets_rule_and_times(database, tmp_path, columns):
    exam(database, [answer(1, True), answer(2, True), answer(3, True)])
    extract(run := run_of(tmp_path))
    run.staged(ANCHORS).write_text("[]")
    asked = sent(run, tmp_path, Accepts(columns=columns, capabilities=frozenset({"verdicts"})))
    given = asked["observations"]
    assert set(given if columns else given[0]) == {"user_id", "item_id", "is_correct"}
    assert "reversed" in asked["verdicts"] and "changed" not in asked["verdicts"]
    asked = sent(run, tmp_path, Accepts(columns=columns, capabilities=frozenset({"verdicts", "changes"})))
    given = asked["observations"]
    times = given["responded_at"] if columns else [row["responded_at"] for row in given]
    assert [datetime.fromisoformat(each) for each in times] == [END - timedelta(days=1)] * 3
    assert asked["verdicts"]["changed"] == {"action": "hold", "limit": 0.3}


def test_responses_staged_by_an_older_version_are_calibrated_without_the_rule(database, tmp_path):
    exam(database, [answer(1, True), answer(2, True), answer(3, True)])
    extract(run_of(tmp_path, "ignore"))
    later = run_of(tmp_path)
    later.staged(ANCHORS).write_text("[]")
    assert "changed" not in staged_settings(later)["verdicts"]


def test_a_bank_that_uses_newer_answers_needs_a_service_that_knows_them(tmp_path, service):
    service.script["GET", "/healthz"] = Answer(200, {"capabilities": ["verdicts"]})
    with pytest.raises(BadDataError, match="^bank math: .*use_newer.* needs the capability 'changes', which"):
        require_capabilities([run_of(tmp_path, "use_newer")])
    require_capabilities([run_of(tmp_path, "hold")])
    service.script["GET", "/healthz"] = Answer(200, {"capabilities": ["changes"]})
    require_capabilities([run_of(tmp_path, "use_newer")])


@pytest.fixture
def edited(database) -> None:
    """1,200 users answer 20 questions on one day of 50 each; one question is easier by 1.5 for the last 20 days."""
    rng = np.random.default_rng(34)
    a, b = rng.lognormal(0.1, 0.2, 20), rng.normal(0, 0.8, 20)
    with database.cursor() as cursor:
        rows = []
        for user, (theta, ago) in enumerate(zip(rng.normal(size=1200), rng.uniform(1, 50, 1200), strict=True)):
            difficulty = b - 1.5 * ((np.arange(20) == EDITED - 1) & (ago < EDITED_DAYS_AGO))
            right = rng.random(20) < 1 / (1 + np.exp(-a * (theta - difficulty)))
            given = [answer(item + 1, bool(y), days=ago) for item, y in enumerate(right)]
            rows.append((f"u{user}", f"s{user}", Jsonb({"questions": given}), END))
        cursor.executemany(
            "insert into exam_results (user_id, session_id, result_json, updated_at) values (%s, %s, %s, %s)", rows
        )


def night(tmp_path, action):
    run = run_of(tmp_path, action)
    extract(run)
    calibrated(run, tmp_path)
    load(run)
    check(run)
    publish(run)
    return run


def reason_of(database, table) -> dict:
    [[item, [reason]]] = database.execute(f"select item_id, reasons from {table} where reasons is not null").fetchall()
    assert item == str(EDITED)
    since = datetime.fromisoformat(reason["at"])
    assert END - since == pytest.approx(timedelta(days=EDITED_DAYS_AGO), abs=timedelta(days=3))
    assert reason["figure"] == pytest.approx(-1.5, abs=0.5)
    return reason


@pytest.mark.usefixtures("edited")
def test_an_edited_question_is_held_and_dated(database, tmp_path):
    night(tmp_path, "hold")
    assert reason_of(database, "irt.run_held")["action"] == "hold"
    assert database.execute("select item_id, reason, nights from irt.item_watch").fetchall() == [
        (str(EDITED), "changed", 1)
    ]
    published = database.execute("select count(*) from mirt_item_params").fetchone()[0]
    assert published == 19


@pytest.mark.usefixtures("edited")
def test_an_edited_question_is_published_from_its_newer_answers(database, tmp_path):
    run = night(tmp_path, "use_newer")
    reason = reason_of(database, "irt.run_item")
    since = datetime.fromisoformat(reason["at"])
    with run.staged(RESPONSES).open("rb") as file:
        rows = pq.read_table(file).to_pylist()
    newer = sum(row["item_id"] == str(EDITED) and row["responded_at"] >= since for row in rows)
    counted = database.execute("select n_responses from irt.run_item where item_id = %s", [str(EDITED)]).fetchone()[0]
    assert counted == pytest.approx(newer, abs=1)
    assert 300 < counted < 700
