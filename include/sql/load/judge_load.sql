-- Purpose: record the verdict on a load, and on its run if nothing was loaded since.
-- Grain:   whether the load is the run's last one; no row if another load has replaced it.
-- Parameters: load_id, run_key, state, timings (JSON: seconds by step).
with run as (
    update irt.run
    set state = %(state)s, timings = timings || %(timings)s::jsonb, changed_at = now()
    where run_key = %(run_key)s and load_id = %(load_id)s
    returning run_key
)

update irt.load
set state = %(state)s, judged_at = now()
where load_id = %(load_id)s
returning exists (select from run) as is_last
