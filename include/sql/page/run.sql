-- Purpose: one run: what it was, and what its last load came to.
-- Grain:   at most one row.
-- Parameters: run_key.
select
    run.run_key, run.dag_run_id, run.bank, run.state,
    -- Of the load: the run may have been planned and extracted again since.
    coalesce(load.window_start, run.window_start) as window_start,
    coalesce(load.window_end, run.window_end) as window_end,
    coalesce(nullif(load.counts, '{}'), run.counts) as counts,
    coalesce(nullif(load.settings, '{}'), run.settings) as settings,
    run.timings, run.registered_at, load.load_id, load.engine, load.approval, load.loaded_at, load.judged_at,
    load.result -> 'model_spec' as model_spec, load.result -> 'metrics' as metrics,
    jsonb_array_length(coalesce(load.result -> 'excluded' -> 'items', '[]')) as items_excluded,
    jsonb_array_length(coalesce(load.result -> 'excluded' -> 'users', '[]')) as users_excluded,
    (select max(p.published_at) from irt.publication as p where p.load_id = load.load_id) as published_at
from irt.run as run
left join irt.load as load on load.load_id = run.load_id
where run.run_key = %(run_key)s
