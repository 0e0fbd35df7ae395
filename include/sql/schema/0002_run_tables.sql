-- Purpose: where a run's rows live before they are judged, and the registry of all runs.
-- Grain:   irt.run: one run of one bank (its run key); run_item, run_ability, run_check: one item, person, check of it.

create schema if not exists irt;

create table if not exists irt.run (
    run_key text primary key,
    dag_run_id text not null,
    bank text not null,
    state text not null check (state in ('running', 'skipped', 'rejected', 'accepted', 'published', 'superseded')),
    window_start timestamptz not null,
    window_end timestamptz not null,
    settings jsonb not null,
    counts jsonb not null default '{}',
    -- What the service says of its result: model_spec, metrics, excluded, and how many rows it has.
    result jsonb,
    registered_at timestamptz not null default now(),
    changed_at timestamptz not null default now()
);
create index if not exists run_bank_window on irt.run (bank, window_end desc);

create table if not exists irt.run_item (
    run_key text not null references irt.run on delete cascade,
    item_id text not null,
    model text not null,
    a float8,
    b float8,
    c float8,
    se_a float8,
    se_b float8,
    se_c float8,
    n_responses bigint,
    p_correct float8,
    anchor text,
    fit json,
    primary key (run_key, item_id)
);

create table if not exists irt.run_ability (
    run_key text not null references irt.run on delete cascade,
    user_id text not null,
    theta float8,
    se float8,
    n_responses bigint,
    primary key (run_key, user_id)
);

create table if not exists irt.run_check (
    run_key text not null references irt.run on delete cascade,
    check_name text not null,
    passed boolean not null,
    finding text not null,
    checked_at timestamptz not null default now(),
    primary key (run_key, check_name)
);
