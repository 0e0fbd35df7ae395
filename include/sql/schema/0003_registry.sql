-- Purpose: a fuller registry: the state "loaded", the engine, seconds by step, who approved a rejected run and why; of
--          every check its figure, threshold and severity.
-- Grain:   changes irt.run and irt.run_check; their rows stay.

alter table irt.run drop constraint if exists run_state_check;

alter table irt.run add constraint run_state_check check (
    state in ('running', 'loaded', 'accepted', 'rejected', 'published', 'superseded', 'skipped')
);

alter table irt.run
    add column if not exists engine text,
    add column if not exists timings jsonb not null default '{}',
    -- {"by", "reason", "at"}: who published a run although it was rejected.
    add column if not exists approval jsonb;

alter table irt.run_check
    add column if not exists severity text not null default 'fail' check (severity in ('fail', 'warn')),
    add column if not exists figure float8,
    add column if not exists threshold text;

-- The history of an item over all runs, which drift and undo are judged by.
create index if not exists run_item_history on irt.run_item (item_id, run_key);
