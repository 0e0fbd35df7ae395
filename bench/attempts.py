"""Simulated banks as rows of `attempt` and `question`; here `attempt` is a plain table, not a view on exams."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import numpy as np
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi

from bench.cases import Case
from irt_engine import simulate
from local.postgres import EmbeddedPostgres
from local.schema import apply_schema

TOPIC = "bench"
# The end of the 60-day window that holds all answers.
END = datetime(2026, 5, 1, 3, 0, tzinfo=timezone.utc)
WINDOW = timedelta(days=60)
# Shares of answers that are repeated, or of unknown correctness. Real data has both, and both cost extraction time.
REPEATED, UNKNOWN = 0.02, 0.01

_SECONDS_PER_ANSWER = 60
_ROWS_AT_ONCE = 500_000

# The columns of the view `attempt`; indexed for an application that reads a student's answers and the latest ones.
_TABLE = """
drop view attempt;
create table attempt (
    id bigint primary key, student_id uuid, item_id bigint, correct boolean, response_time_ms int, hint_used boolean,
    completed_at timestamptz, started_at timestamptz, attempt_no int, session_id text, topic_id text
);
grant select on attempt to irt_pipeline
"""
_FORGET_EARLIER = """
delete from irt.run where load_id is null or load_id not in (select load_id from irt.publication)
"""
_INDEXES = "create index on attempt (completed_at); create index on attempt (student_id)"


def prepare(postgres: EmbeddedPostgres, case: Case) -> str:
    """Make the database of a case. The first call fills it; later ones keep the last publication and its run.

    :return: its name.
    """
    name = "bench_" + case.name.lower().replace(".", "_").replace("-", "_")
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as server:
        if server.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [name]
        ).fetchone() != (str(case),):
            server.execute(f"drop database if exists {name}")
            server.execute(f"create database {name}")
            _fill(postgres.conninfo(name), case)
            server.execute(
                psycopg.sql.SQL("comment on database {} is {}").format(psycopg.sql.Identifier(name), str(case))
            )
    # A database filled by an earlier version may lack newer migrations.
    apply_schema(postgres.conninfo(name))
    with psycopg.connect(postgres.conninfo(name), autocommit=True) as connection:
        connection.execute(_FORGET_EARLIER)
    return name


def _fill(conninfo: str, case: Case) -> None:
    apply_schema(conninfo)
    drawn = simulate(case.users, case.items, case.answers, model=case.model, seed=case.seed)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_TABLE)
        _write_attempts(conninfo, drawn.observations, case)
        connection.execute(_INDEXES)
        _write_questions(connection, drawn.items)
        connection.execute("vacuum analyze")


def _write_attempts(conninfo: str, observations: pa.Table, case: Case) -> None:
    """Write one session per user at a random moment, ordered by time as an application would have written them."""
    rng = np.random.default_rng(case.seed)
    user = observations["user_id"].combine_chunks().indices.to_numpy()
    item = observations["item_id"].combine_chunks().indices.to_numpy()
    right = observations["is_correct"].to_numpy()
    begin = rng.uniform(0, WINDOW.total_seconds() - 3 * _SECONDS_PER_ANSWER * case.answers, case.users)
    position = np.arange(user.size) % case.answers
    twice = rng.random(user.size) < REPEATED
    user, item = (np.concatenate([x, x[twice]]) for x in (user, item))
    right = np.concatenate([right, rng.random(twice.sum()) < 0.5])
    position = np.concatenate([position, case.answers + position[twice]])
    at = begin[user] + _SECONDS_PER_ANSWER * position + rng.uniform(0, 30, user.size)
    order = np.argsort(at)
    ids = np.frombuffer(rng.bytes(16 * case.users), "V16")
    with dbapi.connect(conninfo) as connection, connection.cursor() as cursor:
        for start in range(0, order.size, _ROWS_AT_ONCE):
            rows = order[start : start + _ROWS_AT_ONCE]
            unknown = rng.random(rows.size) < UNKNOWN
            cursor.adbc_ingest(
                "attempt",
                _attempts(start, ids[user[rows]], item[rows] + 1, right[rows], unknown, at[rows]),
                mode="append",
            )
        connection.commit()


def _attempts(start, student, item, right, unknown, at) -> pa.Table:
    n = len(item)
    completed = ((END - WINDOW).timestamp() + at) * 1e6
    moments = pa.array(completed.astype(np.int64), pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "id": pa.array(np.arange(start + 1, start + n + 1)),
            # PostgreSQL reads 16 bytes as a uuid in COPY's binary format.
            "student_id": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), n, [None, pa.py_buffer(student.tobytes())]
            ),
            "item_id": pa.array(item.astype(np.int64)),
            "correct": pa.array(right, mask=unknown),
            "response_time_ms": pa.array(np.full(n, 20_000, np.int32)),
            "hint_used": pa.array(np.zeros(n, bool)),
            "completed_at": moments,
            "started_at": moments,
            "attempt_no": pa.array(np.ones(n, np.int32)),
            "session_id": pa.array([f"s{k}" for k in (start + np.arange(n)) // 50]),
            "topic_id": pa.array([TOPIC] * n),
        }
    )


def _write_questions(connection: psycopg.Connection, items: pa.Table) -> None:
    """Every tenth item is an anchor with its true parameters."""
    with connection.cursor() as cursor, cursor.copy("copy question (id, topic_id, meta) from stdin") as copy:
        for n, row in enumerate(items.to_pylist(), start=1):
            meta = {"tags": ["anchor"], "irt": {"a": row["a"], "b": row["b"]}} if n % 10 == 0 else {}
            copy.write_row([n, TOPIC, json.dumps(meta)])
