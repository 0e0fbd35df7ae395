"""Runs and answers for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from irt.banks import banks_of
from irt.form import params
from irt.run import Run, plan_run

END = datetime(2026, 5, 1, 3, 0, tzinfo=timezone.utc)
# The form values of the scheduled run.
FORM = {name: param.value for name, param in params(["math"]).items()}
SMALL = {"responses": 1, "users": 1, "items": 3, "item_responses": 1}


def a_run(
    tmp_path: Any, *, bank: dict | None = None, others: Iterable[dict] = (), run_id: str = "run-1", end: datetime = END,
    **form: Any,
) -> Run:  # fmt: skip
    """A run of the bank `math`, the default one among `others`, with these settings changed."""
    settings = {"name": "math", "topics": ["math"], "minimum": SMALL} | (bank or {})
    banks = banks_of([settings, *others])
    return plan_run(
        banks.default, banks=banks, dag_run_id=run_id, end=end, staging=tmp_path.as_uri(), params=FORM | form
    )


def exam(connection: Any, answers: list[dict | Any], *, user: str | None = "user-1", exam_id: int = 1) -> str:
    """Put one exam into exam_results; returns its session."""
    count = connection.execute("select count(*) from exam_results").fetchone()[0]
    session = f"s{count}"
    connection.execute(
        "insert into exam_results (user_id, session_id, exam_id, result_json, updated_at) values (%s, %s, %s, %s, %s)",
        [user, session, exam_id, json.dumps({"questions": answers}), END - timedelta(days=1)],
    )
    return session


def answer(item: Any, correct: Any, *, days: float = 1, topic: str = "math", **more: Any) -> dict:
    """One element of result_json -> questions, answered `days` before the run's end."""
    at = (END - timedelta(days=days)).isoformat()
    return {"question_id": item, "is_correct": correct, "answered_at": at, "topic_id": topic} | more
