-- Purpose: move a run to another state, and record how long that step took.
-- Grain:   one run key.
-- Parameters: run_key, state, timings (JSON: seconds by step).
update irt.run
set state = %(state)s, timings = timings || %(timings)s::jsonb, changed_at = now()
where run_key = %(run_key)s
