"""The demo's data are what they are said to be."""

from __future__ import annotations

import numpy as np

from local import demo_data


def test_lsat7_has_a_thousand_people_and_the_known_scores():
    exams = [e for e in demo_data.exams() if e.topic == "lsat7"]
    assert len(exams) == 1000
    right = np.array([[correct for _, correct in e.answers] for e in exams])
    # Proportions correct of Bock & Lieberman (1970): .828 .658 .772 .606 .843.
    assert right.mean(axis=0).round(3).tolist() == [0.828, 0.658, 0.772, 0.606, 0.843]


def test_math_has_the_size_of_the_production_log():
    exams = [e for e in demo_data.exams() if e.topic == "math"]
    assert len({e.user_id for e in exams}) == 500
    pairs = [(e.user_id, item) for e in exams for item, _ in e.answers]
    assert len(pairs) == len(set(pairs)) == 12_345
    assert len({item for _, item in pairs}) == 150
    anchors = [q for q in demo_data.questions() if "anchor" in q.meta["tags"]]
    assert len(anchors) == 50
    assert all(set(q.meta["irt"]) >= {"a", "b"} for q in anchors)


def test_math_is_the_same_on_every_machine():
    truth = demo_data.math_truth()
    assert (truth.a[:3].tolist(), truth.b[:3].tolist()) == ([1.4153, 1.0469, 0.9827], [0.3755, 0.31, 0.1472])
    assert int(truth.correct[truth.answered].sum()) == 6542
    assert abs(truth.theta.mean() - 0.4) < 0.1
    assert abs(truth.theta.std() - 1.2) < 0.1


def test_loading_twice_duplicates_nothing(database):
    first = demo_data.load(database, demo_data.midnight())
    counts = (
        "select (select count(*) from attempt), (select count(*) from question), (select count(*) from exam_results)"
    )
    rows = database.execute(counts).fetchone()
    assert rows == (5000 + 12_345, 155, 1500)
    assert demo_data.load(database, demo_data.midnight()) == first
    assert database.execute(counts).fetchone() == rows
    assert demo_data.foreign_exams(database) == 0


def test_real_answers_are_noticed(database):
    database.execute("insert into exam_results (user_id, session_id) values ('u', 'real'), ('u', null)")
    assert demo_data.foreign_exams(database) == 2
