"""A database that is not UTF-8, as older Korean ones are."""

from __future__ import annotations

import json

import psycopg
import pytest

from irt.migrations import migrate
from irt.operators.extract import ExtractAnchorsOperator, ExtractResponsesOperator
from tests.chain import check, load, publish, stage
from tests.runs import a_run, answer, exam


@pytest.fixture
def korean(postgres, monkeypatch):
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as server:
        server.execute("drop database if exists korean")
        server.execute("create database korean encoding 'EUC_KR' locale 'C' template template0")
    monkeypatch.setenv("AIRFLOW_CONN_SEEDTEST_DB", json.dumps(postgres.airflow_connection() | {"schema": "korean"}))
    migrate(postgres.conninfo("korean"))
    with psycopg.connect(postgres.conninfo("korean"), autocommit=True, client_encoding="utf8") as connection:
        yield connection


@pytest.mark.parametrize("source", ["view", "exam_results"])
def test_a_night_in_euc_kr(korean, tmp_path, source):
    exam(korean, [answer(i, i != 2, topic="수학") for i in (1, 2, 3)], user="김철수")
    exam(korean, [answer(9, True, topic="과학")], user="김철수")
    korean.execute("insert into question (id, topic_id, meta) values (1, '수학', %s)", ['{"tags": ["anchor", "공통"]}'])
    run = a_run(tmp_path, run_id="수동 실행", bank={"topics": ["수학"], "extract": {"source": source}})
    counts = ExtractResponsesOperator(task_id="e", run=run.to_dict()).execute({})
    assert (counts["responses"], counts["users"]) == (3, 1)
    assert ExtractAnchorsOperator(task_id="a", run=run.to_dict()).execute({})["unusable"] == 1

    def korean_users(result):
        result["abilities"][0]["user_id"] = "김철수"

    stage(run, korean_users)
    for task in (load, check, publish):
        task(run)
    assert korean.execute("select count(*) from mirt_ability where user_id = '김철수'").fetchone() == (1,)
    assert korean.execute("select run_id from mirt_fit_meta").fetchone() == ("수동 실행/math",)


def test_what_it_cannot_hold_is_said(korean, tmp_path):
    exam(korean, [answer(i, True) for i in (1, 2, 3)])
    run = a_run(tmp_path)
    ExtractResponsesOperator(task_id="e", run=run.to_dict()).execute({})

    def emoji(result):
        result["abilities"][0]["user_id"] = "학생 🎓"

    stage(run, emoji)
    with pytest.raises(Exception, match="has no equivalent in encoding"):
        load(run)
