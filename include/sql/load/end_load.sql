-- Purpose: make this load the run's last one.
-- Grain:   one run key.
-- Parameters: run_key, load_id, timings (JSON: seconds by step).
update irt.run
set load_id = %(load_id)s, state = 'loaded', timings = timings || %(timings)s::jsonb, changed_at = now()
where run_key = %(run_key)s
