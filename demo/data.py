"""The demo's two banks, written to the database as exam results, as in production."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

import numpy as np
import psycopg

_HERE = Path(__file__).parent
_SQL = _HERE / "sql"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "irt-calibration-demo")

# Slopes, intercepts (d = -a·b) and log-likelihood of the 2PL fit of LSAT section 7 (Bock & Lieberman, 1970), as
# published with R's mirt (Chalmers, 2012, Journal of Statistical Software 48(6)).
LSAT7_SLOPES = (0.988, 1.081, 1.706, 0.765, 0.736)
LSAT7_INTERCEPTS = (1.856, 0.808, 1.804, 0.486, 1.855)
LSAT7_LOGLIK = -2658.805

MATH_SEED = 20261123
MATH_USERS, MATH_ITEMS, MATH_RESPONSES, MATH_ANCHORS = 500, 150, 12_345, 50
MATH_MEAN, MATH_SD = 0.4, 1.2
_FIRST_LSAT7, _FIRST_MATH = 7001, 1001


@dataclass(frozen=True)
class Question:
    """A row of `question`."""

    id: int
    topic: str
    meta: dict


@dataclass(frozen=True)
class Exam:
    """A row of `exam_results`: the answers of one user, (question id, correct) in order."""

    user_id: str
    session: str
    exam_id: int
    topic: str
    answers: list[tuple[int, bool]]


@dataclass(frozen=True)
class MathTruth:
    """The true values of the simulated bank; arrays per item (150) or per user (500), on the reference scale."""

    item_ids: list[str]
    user_ids: list[str]
    a: np.ndarray
    b: np.ndarray
    theta: np.ndarray
    answered: np.ndarray  # users × items, whether the user was given the item
    correct: np.ndarray  # users × items


@lru_cache(maxsize=1)
def math_truth() -> MathTruth:
    """Simulate the bank. RandomState, because NumPy guarantees that its stream never changes."""
    random = np.random.RandomState(MATH_SEED)
    a = np.round(random.lognormal(0.1, 0.3, MATH_ITEMS), 4)
    b = np.round(random.normal(0.3, 1.1, MATH_ITEMS), 4)
    theta = random.normal(MATH_MEAN, MATH_SD, MATH_USERS)
    answered = np.zeros((MATH_USERS, MATH_ITEMS), bool)
    each, more = divmod(MATH_RESPONSES, MATH_USERS)
    for user in range(MATH_USERS):
        answered[user, random.permutation(MATH_ITEMS)[: each + (user < more)]] = True
    probability = 1 / (1 + np.exp(-a * (theta[:, None] - b)))
    correct = random.random_sample((MATH_USERS, MATH_ITEMS)) < probability
    item_ids = [str(_FIRST_MATH + j) for j in range(MATH_ITEMS)]
    user_ids = [_uuid(f"math/{i}") for i in range(MATH_USERS)]
    return MathTruth(item_ids, user_ids, a, b, theta, answered, correct)


def questions() -> Iterator[Question]:
    for j in range(5):
        yield Question(_FIRST_LSAT7 + j, "lsat7", {"tags": ["demo"], "title": f"LSAT section 7, item {j + 1}"})
    truth = math_truth()
    for j, (a, b) in enumerate(zip(truth.a.tolist(), truth.b.tolist())):
        anchor = {"irt": {"a": a, "b": b, "model": "2PL", "version": "reference"}} if j < MATH_ANCHORS else {}
        yield Question(_FIRST_MATH + j, "math", {"tags": ["demo"] + ["anchor"] * bool(anchor), **anchor})


def exams() -> Iterator[Exam]:
    person = 0
    for row in csv.DictReader((_HERE / "lsat7.csv").open()):
        answers = [(_FIRST_LSAT7 + j, right == "1") for j, right in enumerate(row["pattern"])]
        for _ in range(int(row["count"])):
            yield Exam(_uuid(f"lsat7/{person}"), f"demo-lsat7-{person}", 7, "lsat7", answers)
            person += 1
    truth = math_truth()
    for i, user in enumerate(truth.user_ids):
        given = np.flatnonzero(truth.answered[i])
        answers = [(_FIRST_MATH + int(j), bool(truth.correct[i, j])) for j in given]
        yield Exam(user, f"demo-math-{i}", 1, "math", answers)


def load(connection: psycopg.Connection, today: datetime) -> dict[str, int]:
    """Write the two banks. Repeating it writes the same rows again, moved to the 40 days before `today`.

    :return: the number of exams and of questions.
    """
    drawn = list(exams())
    # LSAT7 is sorted by pattern: in that order its items would change in time.
    places = np.random.RandomState(MATH_SEED).permutation(len(drawn)).tolist()
    rows = [_exam_row(exam, place, today) for exam, place in zip(drawn, places)]
    question_rows = [(q.id, q.topic, json.dumps(q.meta)) for q in questions()]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute((_SQL / "clear_exams.sql").read_text())
        cursor.executemany((_SQL / "question.sql").read_text(), question_rows)
        cursor.executemany((_SQL / "exam_result.sql").read_text(), rows)
    connection.execute("analyze exam_results")
    return {"exams": len(rows), "questions": len(question_rows)}


def foreign_rows(connection: psycopg.Connection) -> dict[str, int]:
    """Number of rows per table that are not the demo's; empty if there are none."""
    found = {}
    for file in sorted(_SQL.glob("foreign_*.sql")):
        table = file.stem.removeprefix("foreign_")
        if connection.execute("select to_regclass(%s)", [table]).fetchone()[0]:
            found[table] = connection.execute(file.read_text()).fetchone()[0]
    return {table: count for table, count in found.items() if count}


def _exam_row(exam: Exam, position: int, today: datetime) -> tuple:
    end = today - timedelta(days=1 + position % 40, minutes=position % 600)
    started = [end - timedelta(seconds=60 * (len(exam.answers) - n)) for n in range(len(exam.answers))]
    body = [
        {
            "question_id": question,
            "is_correct": correct,
            "started_at": at.isoformat(),
            "answered_at": (at + timedelta(seconds=45)).isoformat(),
            "response_time_ms": 45_000,
            "hint_used": False,
            "attempt_no": 1,
            "topic_id": exam.topic,
        }
        for (question, correct), at in zip(exam.answers, started)
    ]
    return exam.user_id, exam.session, exam.exam_id, json.dumps({"questions": body}), end


def midnight() -> datetime:
    return datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


def _uuid(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))
