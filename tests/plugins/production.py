"""The production database that the pipeline is installed in: its tables and its view, with the view's casts."""

from __future__ import annotations

from typing import Any

# One element of result_json -> 'questions' is one answer; ids, booleans and seconds are cast unchecked.
_VIEW = """
drop view if exists attempt;
create view attempt as
select
    ('x' || substr(md5(e.exam_id::text || (q.body ->> 'question_id')), 1, 15))::bit(60)::bigint as id,
    case when e.user_id ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then e.user_id::uuid
        else md5(e.user_id)::uuid end as student_id,
    nullif(q.body ->> 'question_id', '')::bigint as item_id,
    coalesce((q.body ->> 'is_correct')::boolean, (q.body ->> 'correct')::boolean, false) as correct,
    coalesce((q.body ->> 'time_spent_sec')::numeric * 1000, 0)::int as response_time_ms,
    coalesce((q.body ->> 'used_hints')::int, 0) > 0 as hint_used,
    coalesce(e.updated_at, e.created_at) as completed_at,
    e.created_at as started_at,
    row_number() over (
        partition by e.user_id, q.body ->> 'question_id' order by coalesce(e.updated_at, e.created_at)
    )::int as attempt_no,
    e.session_id,
    q.body ->> 'topic' as topic_id
from exam_results as e
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(e.result_json -> 'questions') = 'array' then e.result_json -> 'questions' else '[]' end
) as q (body);
grant select on attempt to irt_pipeline
"""


_TABLES = """
create table exam_results (
    id uuid primary key default gen_random_uuid(), session_id text unique not null, user_id text, org_id int,
    exam_id int, status text, result_json jsonb, score_raw numeric, created_at timestamptz default now(),
    updated_at timestamptz default now()
);
create table question (
    id bigint primary key, content text not null, difficulty numeric, topic_id text, meta jsonb default '{}',
    created_at timestamptz default now(), updated_at timestamptz default now()
);
create table mirt_item_params (
    item_id text primary key, model text, params jsonb not null, version text, fitted_at timestamptz
);
create table mirt_ability (
    user_id text, theta float8 not null, se float8, model text, version text, fitted_at timestamptz,
    primary key (user_id, version)
);
create index on mirt_ability (user_id, fitted_at);
create table mirt_fit_meta (run_id text primary key, model_spec jsonb, metrics jsonb, fitted_at timestamptz)
"""


def make_production_view(database: Any) -> None:
    database.execute(_VIEW)


def make_production_tables(database: Any) -> None:
    database.execute(_TABLES)
    database.execute(_VIEW.partition("grant")[0].rstrip().rstrip(";"))
