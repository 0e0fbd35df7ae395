"""Which forms of `attempt` the extraction reads; it refuses the others before it starts."""

from __future__ import annotations

import uuid

import pytest

from irt.errors import SchemaError
from irt.operators.extract import ExtractResponsesOperator
from irt.staging import RESPONSES
from tests.runs import a_run

# As production has them.
COLUMNS = {
    "id": "bigint", "student_id": "uuid", "item_id": "bigint", "correct": "boolean", "completed_at": "timestamptz",
    "session_id": "text", "topic_id": "text",
}  # fmt: skip
IDS = ["text", "varchar(40)", "bigint", "integer", "smallint", "uuid", "label"]


def make_attempt(database, **types) -> None:
    """A table `attempt` with five answers of a user; the last is a second answer to the first item."""
    columns = COLUMNS | types
    columns = {name: kind for name, kind in columns.items() if kind}
    database.execute("create domain word as text")
    database.execute("create domain label as word")
    database.execute("drop view attempt")
    database.execute(f"create table attempt ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    database.execute("grant select on attempt to irt_pipeline")
    for number in range(5):
        numbers = {"id": number, "student_id": 7, "item_id": number % 4, "session_id": 1}
        known = {"correct": "true", "completed_at": "2026-04-30", "topic_id": "math"}
        values = [known.get(name, _as(kind, numbers.get(name))) for name, kind in columns.items()]
        database.execute(f"insert into attempt values ({', '.join(['%s'] * len(values))})", values)


def _as(kind: str, number: int | None) -> str:
    return str(uuid.UUID(int=number)) if kind == "uuid" else str(number)


def extract(run) -> dict:
    return ExtractResponsesOperator(task_id="extract_responses", run=run.to_dict()).execute({})


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_any_type_that_is_the_same_as_text(database, tmp_path, kind):
    make_attempt(database, student_id=kind, item_id=kind, id=kind)
    counts = extract(a_run(tmp_path, max_responses=3))
    assert (counts["attempts"], counts["repeated"], counts["over_limit"]) == (5, 1, 1)


@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        ("completed_at", "date", "completed_at is date, needed timestamp with time zone"),
        ("completed_at", "timestamp", "completed_at is timestamp without time zone, needed timestamp with time zone"),
        ("completed_at", "text", "completed_at is text, needed timestamp with time zone"),
        ("correct", "text", "correct is text, needed boolean"),
        ("student_id", "numeric", "student_id is numeric, needed bigint or integer or smallint or uuid or text or"),
        ("item_id", "char(9)", "item_id is character, needed bigint or integer or smallint or uuid or text or"),
        ("topic_id", "varchar(9)[]", r"topic_id is character varying\[\], needed text or character varying"),
        ("correct", None, "correct is missing, needed boolean"),
    ],
)
def test_a_column_of_another_type_is_refused_by_name(database, tmp_path, column, kind, said):
    if kind and kind.endswith("[]"):
        make_attempt(database)
        database.execute(f"alter table attempt alter {column} type {kind} using array[{column}]")
    else:
        make_attempt(database, **{column: kind})
    run = a_run(tmp_path)
    with pytest.raises(SchemaError, match=said):
        extract(run)
    assert not run.staged(RESPONSES).exists()
    assert database.execute("select count(*) from irt.run").fetchone() == (0,)


def test_all_that_is_wrong_is_said_at_once(database, tmp_path):
    make_attempt(database, completed_at="date", correct="text", topic_id=None)
    said = "completed_at is date, .*; topic_id is missing"
    with pytest.raises(SchemaError, match=f"correct is text, needed boolean; {said}"):
        extract(a_run(tmp_path))


def test_no_attempt_at_all(database, tmp_path):
    database.execute("drop view attempt")
    with pytest.raises(SchemaError, match=f"database {database.info.dbname} at .* has no view or table named attempt"):
        extract(a_run(tmp_path))
