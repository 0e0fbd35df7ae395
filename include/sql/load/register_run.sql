-- Purpose: add a run to the registry, or restart it (a retry, a cleared task).
-- Grain:   one run key.
-- Parameters: run_key, dag_run_id, bank, state, window_start, window_end, settings (JSON),
--          counts (JSON), timings (JSON: seconds by step).
insert into irt.run (run_key, dag_run_id, bank, state, window_start, window_end, settings, counts, timings)
values (
    %(run_key)s, %(dag_run_id)s, %(bank)s, %(state)s, %(window_start)s::timestamptz, %(window_end)s::timestamptz,
    %(settings)s::jsonb, %(counts)s::jsonb, %(timings)s::jsonb
)
on conflict (run_key) do update set
    state = excluded.state,
    window_start = excluded.window_start,
    window_end = excluded.window_end,
    settings = excluded.settings,
    counts = excluded.counts,
    timings = excluded.timings,
    changed_at = now()
