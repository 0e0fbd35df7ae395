"""Removing a person's data."""

from __future__ import annotations

import hashlib
import json
import uuid

import pytest

from irt.banks import banks_of
from irt.errors import ChecksFailedError
from irt.staging import RESPONSES
from local import forget
from local.stack import StackError
from tests.chain import check, load, ready, stage, whole_chain
from tests.plugins.test_rollback import TOMORROW, roll_back
from tests.runs import a_run, answer, exam

USER = "kim@example.org"
THEIR_ID = str(uuid.UUID(hashlib.md5(USER.encode()).hexdigest()))


def with_the_user(result):
    result["abilities"][0]["user_id"] = THEIR_ID
    result["excluded"]["users"] = [{"user_id": THEIR_ID, "reason": "few answers"}, {"user_id": "other", "reason": "x"}]


@pytest.fixture
def known(database, tmp_path, monkeypatch):
    """A user in two publications, a rejected load, staged objects, and an online row."""
    owner = {"conn_type": "postgres", "host": database.info.host, "port": database.info.port}
    owner |= {"login": database.info.user, "schema": database.info.dbname}
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_OWNER", json.dumps(owner))
    exam(database, [answer(i, True) for i in (1, 2, 3)], user=USER)
    first, second = a_run(tmp_path), a_run(tmp_path, run_id="run-2", end=TOMORROW)
    whole_chain(database, first, with_the_user)
    whole_chain(database, second, with_the_user)
    rejected = a_run(tmp_path, run_id="run-3", end=TOMORROW)
    ready(database, rejected)

    def bad(result):
        with_the_user(result)
        result["fit_meta"]["metrics"]["converged"] = False

    stage(rejected, bad)
    load(rejected)
    with pytest.raises(ChecksFailedError):
        check(rejected)
    database.execute("insert into mirt_ability values (%s, 0, 1, '2PL', 'online-1', now())", [USER])
    return first, second


def everywhere(database):
    """The text of all tables that this project fills."""
    loads = ("irt.load", "irt.load_ability", "irt.load_people")
    tables = ("mirt_ability", "mirt_fit_meta", "irt.run", *loads, "irt.forgotten")
    rows = [database.execute(f"select t::text from {table} as t").fetchall() for table in tables]
    return json.dumps(rows, ensure_ascii=False)


@pytest.mark.parametrize("given", [USER, f"  {USER}\n", THEIR_ID, THEIR_ID.upper()])
def test_a_person_is_nowhere_afterwards(database, known, home, capsys, given):
    assert THEIR_ID in everywhere(database)
    assert forget.run(home, given) == 0
    text = everywhere(database)
    assert THEIR_ID not in text
    assert (USER in text) == (given.strip() not in (USER,))
    assert not any(run.staged_folder().exists() for run in known)
    said = capsys.readouterr().out
    published = 2 if USER in given else 1
    assert f"{published:>6}  published abilities" in said
    assert "     3  loads that held an ability" in said
    assert "     2  rows of mirt_fit_meta that named the user as left out" in said
    assert "     3  runs whose staged objects held" in said
    assert "1 exams of this user are in exam_results" in said and "Out of reach: backups" in said
    # Other excluded users are still named.
    assert text.count("few answers") == 0 and "other" in text


def test_the_receipt_says_what_and_not_who(database, known, home, capsys):
    forget.run(home, USER)
    [(found, by)] = database.execute("select found, forgotten_by from irt.forgotten").fetchall()
    assert found == {"published": 2, "loads": 3, "excluded_of_loads": 3, "excluded_of_fits": 2, "staged": 3}
    assert by
    # A second time there is nothing to find, and the receipt says so.
    forget.run(home, USER)
    assert database.execute("select found ->> 'loads' from irt.forgotten order by 1").fetchall() == [("0",), ("3",)]


def test_a_return_to_what_lacks_a_forgotten_person(database, known, home):
    forget.run(home, USER)
    banks = banks_of([{"name": "math", "topics": ["math"]}])
    assert roll_back("run-1/math", banks=banks)["abilities"] == 3
    assert THEIR_ID not in everywhere(database)


def test_somebody_else_and_nobody(database, known, home):
    before = everywhere(database)
    forget.run(home, "lee@example.org")
    database.execute("delete from irt.forgotten")
    assert everywhere(database) == before
    assert known[0].staged(RESPONSES).exists()
    with pytest.raises(StackError, match="the user id is empty"):
        forget.run(home, "  ")
