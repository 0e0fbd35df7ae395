"""The day after the switch: today's readers of the published tables send the same queries and get the right answers.

On production's tables and view, with the old job's rows in them, after two nights of two banks.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

from irt.banks import banks_of
from irt.migrations import migrate
from irt.operators.extract import ExtractResponsesOperator
from local import readers
from tests.chain import check, load, publish, stage
from tests.plugins.production import make_production_tables
from tests.plugins.test_default_bank import OTHER, other_items, runs
from tests.plugins.test_rollback import roll_back
from tests.runs import END

NEWEST = "select theta, version from mirt_ability where user_id = %s order by fitted_at desc limit 1"
BETWEEN = (
    "select theta, version from mirt_ability where user_id = %s and fitted_at >= %s and fitted_at < %s "
    "order by fitted_at desc limit 1"
)
CONSTANTS = "select model_spec -> 'linking_constants' from mirt_fit_meta order by fitted_at desc limit 1"
ITEMS = (
    "select q.id, p.params ->> 'a', p.params ->> 'b', p.params ->> 'c' from question as q "
    "join mirt_item_params as p on p.item_id = q.id::text where p.fitted_at >= now() - interval '7 days' order by q.id"
)
ONLINE = "select count(*) from mirt_item_params where model = '2PL' and version = 'v1'"
GUIDE = "select count(*) from {} where fitted_at >= now() - interval '1 hour'"
USERS = ("u0", "u1", "u2", "u3")


@pytest.fixture
def production(postgres, monkeypatch):
    """As the old job left it on the night before the first one, with all forms of answers; then migrated."""
    name = f"production_{datetime.now(timezone.utc):%H%M%S%f}"
    postgres.create_databases(name)
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(postgres.airflow_connection() | {"schema": name}))
    with psycopg.connect(postgres.conninfo(name), autocommit=True) as connection:
        make_production_tables(connection)
        before = END + timedelta(minutes=5)
        for item in (1, 2, 3):
            connection.execute("insert into question (id, content, topic_id) values (%s, 'q', 'math')", [item])
            params = json.dumps({"a": 1, "b": 5, "c": 0})
            connection.execute("insert into mirt_item_params values (%s, '2PL', %s, 'v1', %s)", [item, params, before])
        for user in (*USERS, "gone"):
            connection.execute("insert into mirt_ability values (%s, 9, 0.5, '2PL', 'v1', %s)", [user, before])
        spec = {"model": "2PL", "linking_constants": {"A": 1.1, "B": 0.1, "n_anchors_used": 5}}
        old = "insert into mirt_fit_meta values ('irt-fit-20260430030512', %s, '{}', %s)"
        connection.execute(old, [json.dumps(spec), before])
        shapes = [
            {"question_id": 1, "is_correct": True, "topic": "math"},
            {"question_id": "2", "correct": "true", "topic": "math"},
            {"question_id": 3, "is_correct": None, "correct": False, "topic": "math"},
            {"question_id": 2, "topic": "math"},
        ]
        for n, questions in enumerate((shapes, shapes[:2], {"no": "list"})):
            connection.execute(
                "insert into exam_results (session_id, user_id, result_json, updated_at) values (%s, %s, %s, %s)",
                [f"s-{n}", f"{n}@example.org", json.dumps({"questions": questions}), END - timedelta(days=1)],
            )
        migrate(postgres.conninfo(name))
        yield connection


@pytest.fixture
def two_nights(production, tmp_path):
    """Two nights of both banks; the other bank ends last."""
    for night in (1, 2):
        nights(production, tmp_path, night)
    return production


def nights(database, tmp_path, night):
    math, physics = runs(tmp_path, night, publish_as="v1")
    for run, change in ((math, lambda result: None), (physics, other_items)):
        ExtractResponsesOperator(task_id="extract_responses", run=run.to_dict()).execute({})
        stage(run, change)
        for task in (load, check, publish):
            task(run)
    return math, physics


def test_every_shape_of_an_answer_was_read(production, tmp_path):
    nights(production, tmp_path, 1)
    counts = production.execute("select counts from irt.run where bank = 'math'").fetchone()[0]
    # One repeated within an exam, and one without correctness, which the view counts as wrong.
    assert {name: counts[name] for name in ("attempts", "responses", "users", "items", "repeated")} == {
        "attempts": 6, "responses": 5, "users": 2, "items": 3, "repeated": 1,
    }  # fmt: skip


def test_the_newest_ability_of_a_user(two_nights):
    for user, theta in zip(USERS, (-1.0, 0.0, 1.0, 2.0), strict=True):
        assert two_nights.execute(NEWEST, [user]).fetchone() == (theta, "v1")
    # A user without answers in any bank keeps the old row.
    assert two_nights.execute(NEWEST, ["gone"]).fetchone() == (9.0, "v1")


def test_the_newest_ability_between_two_times(two_nights):
    now = datetime.now(timezone.utc)
    today = [now - timedelta(minutes=30), now + timedelta(minutes=1)]
    assert two_nights.execute(BETWEEN, ["u0", *today]).fetchone() == (-1.0, "v1")


def test_the_first_night_is_read_at_once(production, tmp_path):
    nights(production, tmp_path, 1)
    assert production.execute(NEWEST, ["u0"]).fetchone() == (-1.0, "v1")
    assert [row[0] for row in production.execute(GUIDE.format("mirt_item_params"))] == [6]


def test_the_guides_check_right_after_a_run_and_after_a_clear_and_a_return(two_nights, tmp_path):
    """It asks for rows of the last hour; this test, for rows since each publication was requested."""

    def found(since):
        query = "select count(*) from {} where fitted_at >= %s"
        tables = ("mirt_item_params", "mirt_ability")
        return [two_nights.execute(query.format(table), [since]).fetchone()[0] for table in tables]

    assert [two_nights.execute(GUIDE.format(f"mirt_{name}")).fetchone()[0] for name in ("item_params", "ability")] == [
        6, 8,
    ]  # fmt: skip
    math, _ = runs(tmp_path, 2, publish_as="v1")
    cleared = datetime.now(timezone.utc)
    for task in (load, check, publish):
        task(math)
    assert found(cleared) == [3, 4]
    returned = datetime.now(timezone.utc)
    roll_back("night-1/math", banks=banks_of([{"name": "math", "topics": ["math"], "publish_as": "v1"}, OTHER]))
    assert found(returned) == [3, 4]


def test_the_weekly_report(two_nights):
    """It turns the constants into a table of names and values, so all must be scalars, and of the default bank."""
    constants = two_nights.execute(CONSTANTS).fetchone()[0]
    assert constants == {"slope": 1.2, "intercept": 0.4, "method": "stocking_lord", "n_anchors_used": 5}
    bank = "select model_spec ->> 'bank' from mirt_fit_meta order by fitted_at desc limit 1"
    assert two_nights.execute(bank).fetchone() == ("math",)


def test_the_item_list_and_the_sync_of_question_meta(two_nights):
    assert two_nights.execute(ITEMS).fetchall() == [
        (1, "1.1", "-1", None), (2, "1.2", "0", None), (3, "1.3", "1", None),
    ]  # fmt: skip


def test_the_online_update_finds_its_items_and_its_row_counts_until_the_next_night(two_nights, tmp_path):
    assert two_nights.execute(ONLINE).fetchone() == (3,)
    update = "update mirt_ability set theta = 5, fitted_at = now() where user_id = 'u0' and version = 'v1'"
    two_nights.execute(update)
    assert two_nights.execute(NEWEST, ["u0"]).fetchone() == (5.0, "v1")


def test_the_trend_of_a_user(two_nights):
    """All rows by time. With two banks, they mix; selected by bank, as the guide says, they do not."""
    series = "select theta from mirt_ability where user_id = 'u0' order by fitted_at"
    assert two_nights.execute(series).fetchall() == [(-0.5,), (-1.0,)]
    of_the_bank = "select theta from irt.ability where user_id = 'u0' and bank = 'math' order by fitted_at"
    assert two_nights.execute(of_the_bank).fetchall() == [(-1.0,)]


def test_the_command_that_checks_readers(two_nights, monkeypatch, home, capsys, postgres):
    monkeypatch.setattr("irt.banks.BANKS_FILE", two_banks := home.path / "banks.yaml")
    two_banks.write_text("banks: [{name: math, topics: [math], publish_as: v1}, {name: physics, topics: [physics]}]")
    monkeypatch.setattr("irt.banks.load_banks.__defaults__", (two_banks,))
    assert readers.show(home) == 0
    assert "bank math's ability (version v1) is the newest of every user who has one" in capsys.readouterr().out
    two_nights.execute("update mirt_ability set fitted_at = now() where version = 'physics' and user_id <> 'u3'")
    assert readers.show(home) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4
    assert said[0].startswith("user u0: the newest ability has version physics (")
    assert said[-1] == "3 users: readers that ignore the version do not get bank math's ability"
    two_nights.execute("delete from mirt_ability where version = 'physics'")
    two_nights.execute("update mirt_fit_meta set fitted_at = now() where model_spec ->> 'bank' = 'physics'")
    assert readers.show(home) == 1
    assert "mirt_fit_meta: the newest row, night-" in capsys.readouterr().out
