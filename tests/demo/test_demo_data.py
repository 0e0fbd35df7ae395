"""The demo's data are as documented."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from demo import data
from irt.banks import load_banks
from irt.operators.extract import ExtractResponsesOperator
from irt.run import plan_run
from local import demo
from local.stack import StackError
from tests.runs import FORM


def test_lsat7_has_a_thousand_people_and_the_known_scores():
    exams = [e for e in data.exams() if e.topic == "lsat7"]
    assert len(exams) == 1000
    right = np.array([[correct for _, correct in e.answers] for e in exams])
    # Proportions correct of Bock & Lieberman (1970): .828 .658 .772 .606 .843.
    assert right.mean(axis=0).round(3).tolist() == [0.828, 0.658, 0.772, 0.606, 0.843]


def test_math_has_the_size_of_the_production_log():
    exams = [e for e in data.exams() if e.topic == "math"]
    assert len({e.user_id for e in exams}) == 500
    pairs = [(e.user_id, item) for e in exams for item, _ in e.answers]
    assert len(pairs) == len(set(pairs)) == 12_345
    assert len({item for _, item in pairs}) == 150
    anchors = [q for q in data.questions() if "anchor" in q.meta["tags"]]
    assert len(anchors) == 50
    assert all(set(q.meta["irt"]) >= {"a", "b"} for q in anchors)


def test_math_is_the_same_on_every_machine():
    truth = data.math_truth()
    assert (truth.a[:3].tolist(), truth.b[:3].tolist()) == ([1.4153, 1.0469, 0.9827], [0.3755, 0.31, 0.1472])
    assert int(truth.correct[truth.answered].sum()) == 6542
    assert abs(truth.theta.mean() - 0.4) < 0.1
    assert abs(truth.theta.std() - 1.2) < 0.1


def test_loading_twice_duplicates_nothing(database):
    first = data.load(database, data.midnight())
    counts = (
        "select (select count(*) from attempt), (select count(*) from question), (select count(*) from exam_results)"
    )
    rows = database.execute(counts).fetchone()
    assert rows == (5000 + 12_345, 155, 1500)
    assert data.load(database, data.midnight()) == first
    assert database.execute(counts).fetchone() == rows
    assert data.foreign_rows(database) == {}


REAL = {
    "exam_results": "insert into exam_results (user_id, session_id) values ('u', 'real'), ('u', null)",
    "question": "insert into question (id, meta) values (1001, '{}'), (1002, '{\"tags\": [\"anchor\"]}')",
    "mirt_item_params": "insert into mirt_item_params values ('1', '2PL', '{}', 'v1'), ('2', '2PL', '{}', null)",
    "mirt_ability": "insert into mirt_ability values ('u', 0, 1, '2PL', 'v1'), ('u', 0, 1, '2PL', 'online-1')",
}


@pytest.mark.parametrize("table", REAL)
def test_a_database_in_use_is_left_as_it_is(database, table):
    database.execute(REAL[table])
    stack = SimpleNamespace(database=lambda: nullcontext(database), say=print)
    with pytest.raises(StackError, match=rf"\(2 in {table}\); the demo does not touch it"):
        demo.load_data(stack)
    assert database.execute("select count(*) from attempt").fetchone() == (0,)


def test_a_database_in_use_gets_not_even_a_table(database):
    database.execute("drop schema irt cascade; drop table question; insert into exam_results (user_id) values ('u')")
    stack = SimpleNamespace(database=lambda: nullcontext(database), say=print)
    with pytest.raises(StackError):
        demo.load_data(stack)
    assert database.execute("select to_regclass('question'), to_regclass('irt.run')").fetchone() == (None, None)


@pytest.mark.parametrize(("bank", "sessions", "judged", "wrong"), [("lsat7", 1000, 0, 0), ("math", 500, 500, 2)])
def test_nobody_guesses_gives_up_or_repeats(database, tmp_path, bank, sessions, judged, wrong):
    """So the demo's checks on answers have nothing to find; of the users of math, 0.4 % are wrong throughout."""
    end, banks = data.midnight(), load_banks()
    data.load(database, end)
    run = plan_run(
        banks[bank], banks=banks, dag_run_id="demo", end=end, staging=tmp_path.as_uri(), params=FORM
    )  # fmt: skip
    counts = ExtractResponsesOperator(task_id="extract_responses", run=run.to_dict()).execute({})
    assert (counts["answers_untimed"], counts["answers_rapid"], counts["pairs_repeated"]) == (0, 0, 0)
    assert (counts["sessions"], counts["sessions_not_reached"]) == (sessions, 0)
    assert (counts["users_judged"], counts["users_wrong_throughout"]) == (judged, wrong)
