"""Bad data in `exam_results` and `question.meta`: left out and counted, never a wrong number.

Hypothesis makes the rows; they go through the view and the operators on a real PostgreSQL. An oracle reads the same
rows in Python, without shared code, and says what must come out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from irt.operators.extract import ExtractAnchorsOperator, ExtractResponsesOperator
from irt.staging import ANCHORS, RESPONSES
from local.postgres import DATABASE
from tests.runs import END, a_run

# The same examples in every run: a failure should belong to a change.
ANY = settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
MISSING = object()
IN_WINDOW = END - timedelta(days=1)


@pytest.fixture(scope="module")
def database(postgres):
    """One for all examples; each empties its tables."""
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as server:
        server.execute(f"create database bad_data template {DATABASE}")
    connection = json.dumps(postgres.airflow_connection() | {"schema": "bad_data"})
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_SEEDTEST_DB", connection)
        with psycopg.connect(postgres.conninfo("bad_data"), autocommit=True) as owner:
            yield owner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("staging")


# What PostgreSQL lets in: jsonb and text hold all of Unicode but NUL, and no half of a surrogate pair.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NUMBERS = st.sampled_from(
    [0, -1, 7, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**40, 0.5, 7.0, -0.0, 1e16, 1e300]
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)

UUID_1 = "8d3c3a0e-9d4c-4a53-8ad0-3f2f4d9a1b11"
USERS = st.one_of(
    st.sampled_from(
        ["user-1", "user-2", UUID_1, UUID_1.upper(), f"{{{UUID_1}}}", UUID_1.replace("-", ""), UUID_1 + "x"]
    ),
    st.sampled_from(
        [None, "", "   ", "학생-1", "u\u0301", "ú", "é" * 10_000, "\\u0000", "\U0001f600", "'; drop table x; --"]
    ),
    TEXT,
)
ITEMS = st.one_of(
    st.integers(1, 4),
    st.sampled_from(
        ["1", " 2 ", "+3", "-3", "007", "0x1F", "0b11", "1_000", "1__0", "0x", "1e3", "1.0", "१", "9" * 10_000]
    ),
    st.sampled_from([MISSING, "", "\\u0000", True, [1], {"id": 1}, "NaN", "2\n", "\u00a02"]),
    JUNK,
)
CORRECT = st.one_of(st.booleans(), st.sampled_from([MISSING, "true", "false", 1, 0, "1", "yes", [True], {}, "t"]), JUNK)
TOPICS = st.one_of(
    st.just("math"), st.sampled_from(["math", "math", MISSING, "Math", " math", ["math"], {"math": 1}]), JUNK
)


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


# Text and the moment it means; None if it means none, so that the exam's own time is used.
MOMENTS: dict[Any, datetime | None] = {
    "2026-04-30T12:00:00Z": _utc(2026, 4, 30, 12),
    "2026-04-29T12:00:00Z": _utc(2026, 4, 29, 12),
    "2026-04-28T12:00:00Z": _utc(2026, 4, 28, 12),
    "2026-04-30T12:00:00.25+09:00": _utc(2026, 4, 30, 3, 0, 0, 250_000),
    "2026-04-30 12:00 Asia/Seoul": _utc(2026, 4, 30, 3),
    "2026-04-30T24:00:00Z": _utc(2026, 5, 1),
    "2026-05-01T02:59:59.999999Z": _utc(2026, 5, 1, 2, 59, 59, 999_999),
    "2026-05-01T03:00:00Z": END,
    "2026-03-02T03:00:00Z": END - timedelta(days=60),
    "2026-03-02T02:59:59.999999Z": END - timedelta(days=60, microseconds=1),
    "0001-01-01T00:00:00Z": _utc(1, 1, 1),
    "9999-12-31T00:00:00Z": _utc(9999, 12, 31),
    "2087-05-01T00:00:00Z": _utc(2087, 5, 1),
    **dict.fromkeys(
        [
            "2026-13-01T00:00:00Z", "2026-02-30", "2026-04-30T25:00Z", "2026-04-30T12:00Z later", "2026-04-30T12:00+99",
            "now", "tomorrow", "infinity", "-infinity", "epoch", "today", "", "30.04.2026", "20260430", "10000-01-01",
            20260430, 1777550400, 1.5, True, None,
        ]
    ),
}  # fmt: skip
WHEN = st.one_of(
    st.just("2026-04-30T12:00:00Z"),
    st.sampled_from([MISSING, *MOMENTS]),
    st.sampled_from([["2026-04-30T12:00:00Z"], {"at": "2026-04-30T12:00:00Z"}]),
)
EXTRAS = st.dictionaries(
    st.sampled_from(["response_time_ms", "hint_used", "started_at", "attempt_no", "", "user_id"]), JUNK, max_size=2
)


@st.composite
def answers(draw: st.DrawFn) -> Any:
    """One element of `questions`: mostly an object with something wrong in it."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JUNK)
    given = {
        "question_id": draw(ITEMS),
        "is_correct": draw(CORRECT),
        "answered_at": draw(WHEN),
        "topic_id": draw(TOPICS),
    }
    return draw(EXTRAS) | {name: value for name, value in given.items() if value is not MISSING}


@st.composite
def good_answers(draw: st.DrawFn) -> dict[str, Any]:
    """From a small bank, so that many items are answered twice, at the same moment or not."""
    at = draw(st.sampled_from(["2026-04-30T12:00:00Z", "2026-04-29T12:00:00Z", "2026-04-28T12:00:00Z"]))
    return {
        "question_id": draw(st.integers(1, 4)),
        "is_correct": draw(st.booleans()),
        "answered_at": at,
        "topic_id": "math",
    }


def _results(questions: list[Any]) -> st.SearchStrategy[Any]:
    good = st.just({"questions": questions, "score": "NaN"})
    odd = [
        {"questions": {"0": questions}},
        {"questions": None},
        {"Questions": questions},
        [{"questions": questions}],
        questions,
    ]
    return st.one_of(good, good, good, good, good, good, st.sampled_from([*odd, {"questions": [questions]}]), JUNK)


@st.composite
def exams(draw: st.DrawFn) -> dict[str, Any]:
    questions = draw(st.lists(st.one_of(answers(), good_answers(), good_answers()), min_size=1, max_size=12))
    result = MISSING if draw(st.integers(0, 19)) == 0 else draw(_results(questions))
    session = draw(st.sampled_from(["s1", "s2", None, ""]))
    at = draw(st.sampled_from([IN_WINDOW, IN_WINDOW, IN_WINDOW, END + timedelta(days=400), END - timedelta(days=4000)]))
    return {"user_id": draw(USERS), "session_id": session, "result_json": result, "updated_at": at}


# The oracle: the answers, read from the same rows.


def _text(value: Any) -> str | None:
    """What `->>` returns."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return json.dumps(value)


_INTEGER = re.compile(
    r"[ \t\n\v\f\r]*([+-]?(?:0x(?:_?[0-9a-f])+|0o(?:_?[0-7])+|0b(?:_?[01])+|[0-9](?:_?[0-9])*))[ \t\n\v\f\r]*", re.I
)


def _item(value: Any) -> str | None:
    match = _INTEGER.fullmatch(_text(value) or "")
    if not match:
        return None
    digits = match[1].replace("_", "")
    sign, digits = (-1 if digits[0] == "-" else 1), digits.lstrip("+-")
    if len(digits.lstrip("0")) > 70:
        return None
    number = sign * int(digits, 0 if digits[:2].lower() in ("0x", "0o", "0b") else 10)
    return str(number) if -(2**63) <= number < 2**63 else None


_UUID = re.compile(r"([0-9a-f]{4}-?){7}[0-9a-f]{4}", re.I)


def _user(text: str | None) -> str | None:
    if text is None or not text.strip(" "):
        return None
    bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    return str(UUID(bare if _UUID.fullmatch(bare) else hashlib.md5(text.encode()).hexdigest()))


def _moment(value: Any, otherwise: datetime) -> datetime:
    known = MOMENTS.get(value) if isinstance(value, str) else None
    return known or otherwise


def attempts_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of the bank in the window, usable or not."""
    found = []
    for number, row in enumerate(rows):
        result = row["result_json"]
        questions = result.get("questions") if isinstance(result, dict) else None
        for position, body in enumerate(questions if isinstance(questions, list) else []):
            body = body if isinstance(body, dict) else {}
            at = _moment(body.get("answered_at"), row["updated_at"])
            if body.get("topic_id") != "math" or not END - timedelta(days=60) <= at < END:
                continue
            correct = body.get("is_correct")
            found.append(
                {
                    "user": _user(row["user_id"]), "item": _item(body.get("question_id")),
                    "correct": correct if isinstance(correct, bool) else None, "order": (at, number, position),
                }
            )  # fmt: skip
    return found


def expected(rows: list[dict[str, Any]], policy: str, most: int) -> tuple[dict[str, int], list[tuple]]:
    attempts = attempts_of(rows)
    counts = {"attempts": len(attempts)}
    for name, field in (("no_user", "user"), ("no_item", "item"), ("no_correctness", "correct")):
        counts[name] = sum(attempt[field] is None for attempt in attempts)
        attempts = [attempt for attempt in attempts if attempt[field] is not None]
    kept: dict[tuple, dict] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt["order"], reverse=policy == "first"):
        kept[attempt["user"], attempt["item"]] = attempt
    recent = sorted(kept.values(), key=lambda attempt: attempt["order"], reverse=True)[: most or None]
    counts |= {"repeated": len(attempts) - len(kept), "over_limit": len(kept) - len(recent)}
    counts |= {"responses": len(recent), **{f"{name}s": len({r[name] for r in recent}) for name in ("user", "item")}}
    return counts, sorted((row["user"], row["item"], row["correct"], row["order"][0]) for row in recent)


# The same through PostgreSQL.


def extracted(
    database, folder, rows: list[dict[str, Any]], policy: str, most: int
) -> tuple[dict[str, Any], list[tuple], bool]:
    database.execute("truncate exam_results restart identity")
    database.execute("delete from irt.run")
    for row in rows:
        result = None if row["result_json"] is MISSING else json.dumps(row["result_json"])
        database.execute(
            "insert into exam_results (user_id, session_id, result_json, updated_at) values (%s, %s, %s, %s)",
            [row["user_id"], row["session_id"], result, row["updated_at"]],
        )
    run = a_run(folder, attempt_policy=policy, max_responses=most)
    try:
        ExtractResponsesOperator(task_id="extract_responses", run=run.to_dict()).execute({})
        skipped = False
    except AirflowSkipException:
        skipped = True
    state, counts = database.execute("select state, counts from irt.run").fetchone()
    assert state == ("skipped" if skipped else "running")
    with run.staged(RESPONSES).open("rb") as file:
        staged = [tuple(row.values()) for row in pq.read_table(file).to_pylist()]
    return counts, sorted(staged), skipped


GOOD = {"question_id": 1, "is_correct": True, "answered_at": "2026-04-30T12:00:00Z", "topic_id": "math"}


def one_exam(*questions: Any, user: str | None = "user-1") -> dict[str, Any]:
    return {"user_id": user, "session_id": "s", "result_json": {"questions": list(questions)}, "updated_at": IN_WINDOW}


@ANY
@given(st.lists(exams(), min_size=1, max_size=6), st.sampled_from(["first", "last"]), st.sampled_from([0, 0, 1, 3]))
@example([one_exam(GOOD, GOOD | {"is_correct": False})], "first", 0)
@example([one_exam(GOOD | {"is_correct": False}, user=UUID_1), one_exam(GOOD, user=UUID_1.upper())], "last", 0)
@example([one_exam(GOOD, user="é" * 10_000), one_exam(GOOD | {"question_id": "9" * 10_000})], "first", 0)
@example(
    [one_exam(*(GOOD | {"question_id": n} for n in (2**63 - 1, -(2**63), "0x7fffffffffffffff", 1e16)))], "first", 3
)
def test_every_answer_is_taken_as_it_is_or_left_out_and_counted(database, folder, rows, policy, most):
    counts, staged, skipped = extracted(database, folder, rows, policy, most)
    wanted, responses = expected(rows, policy, most)
    assert {name: counts[name] for name in wanted} == wanted
    left_out = sum(counts[name] for name in ("no_user", "no_item", "no_correctness", "repeated", "over_limit"))
    assert counts["attempts"] == left_out + counts["responses"]
    assert staged == responses
    assert skipped == (wanted["items"] < 3)


NOT_TEXT = ['"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', "NaN", "{'a': 1}", '{"questions": [}', "1e999999", ""]


@pytest.mark.parametrize("junk", NOT_TEXT)
def test_what_is_no_json_never_gets_in(database, junk):
    with pytest.raises(psycopg.DataError):
        database.execute("insert into exam_results (user_id, result_json) values ('u', %s)", [junk])


def test_a_nul_in_an_id_never_gets_in(database):
    with pytest.raises(psycopg.DataError, match="NUL"):
        database.execute("insert into exam_results (user_id) values (%s)", ["a\0b"])


# Anchors.

PARAMETER = st.one_of(
    st.floats(-3, 3), st.sampled_from([1, 0, "1.5", " 0.7 ", "1e-3", "-2", ".5", MISSING]),
    st.sampled_from(["x", "", "1,5", "0x10", "1 2", "NaN", "inf", "-Infinity", 10**400, "1e999", True, [1], {}, "½"]),
    JUNK.filter(lambda junk: not isinstance(junk, str)),
)  # fmt: skip
TAGS = st.one_of(
    st.just(["anchor"]), st.sampled_from([MISSING, [], "anchor", ["Anchor"], [["anchor"]], {"anchor": 1}]), JUNK
)


@st.composite
def metas(draw: st.DrawFn) -> Any:
    if draw(st.integers(0, 9)) == 0:
        return draw(JUNK)
    given = {name: draw(PARAMETER) for name in "abc"}
    known = {name: value for name, value in given.items() if value is not MISSING}
    meta = {"irt": draw(st.one_of(st.just(known), st.just(known), JUNK)), "tags": draw(TAGS)}
    return {name: value for name, value in meta.items() if value is not MISSING}


_DECIMAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.I | re.A)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        return None
    number = float(str(value))
    return number if math.isfinite(number) else None


def expected_anchor(meta: Any, model: str) -> dict[str, Any] | str | None:
    """The anchor or seed, `unusable`, or None if the meta has neither."""
    irt = meta.get("irt") if isinstance(meta, dict) else None
    tags = meta.get("tags") if isinstance(meta, dict) else None
    fixed = tags == "anchor" or (isinstance(tags, list) and "anchor" in tags)
    if not isinstance(irt, dict):
        return "unusable" if fixed else None
    given = {name: irt.get(name) for name in "abc"}
    if given["c"] is None:
        del given["c"]
    if given["a"] is None and model == "Rasch":
        given["a"] = 1
    params = {name: _number(value) for name, value in given.items()}
    if None in params.values() or params["a"] <= 0 or not 0 <= params.get("c", 0) < 1:
        return "unusable"
    return {"params": params, "fixed": fixed}


@ANY
@given(st.lists(metas(), max_size=8), st.sampled_from(["2PL", "Rasch"]))
def test_every_anchor_is_taken_as_it_is_or_left_out_and_counted(database, folder, given_metas, model):
    database.execute("truncate question")
    for number, meta in enumerate(given_metas, start=1):
        database.execute(
            "insert into question (id, topic_id, meta) values (%s, 'math', %s)", [number, json.dumps(meta)]
        )
    run = a_run(folder, bank={"model": model})
    ids = [str(number) for number in range(1, len(given_metas) + 1)]
    with run.write_staged(RESPONSES) as file:
        pq.write_table(pa.table({"item_id": pa.array(ids, pa.string())}), file)
    counts = ExtractAnchorsOperator(task_id="extract_anchors", run=run.to_dict()).execute({})
    wanted = {str(n): expected_anchor(meta, model) for n, meta in enumerate(given_metas, start=1)}
    usable = {item: anchor for item, anchor in wanted.items() if isinstance(anchor, dict)}
    staged = json.loads(run.staged(ANCHORS).read_text())
    assert {row.pop("item_id"): row for row in staged} == usable
    assert counts == {
        "anchors": sum(anchor["fixed"] for anchor in usable.values()),
        "seeds": sum(not anchor["fixed"] for anchor in usable.values()),
        "unusable": sum(anchor == "unusable" for anchor in wanted.values()),
        "start": 0,
    }
