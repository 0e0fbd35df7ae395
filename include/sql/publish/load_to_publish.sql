-- Purpose: the last load of a run, its state and since when, and whether it was published before. Locks the run until
--          the transaction ends, so that nobody can load it again meanwhile.
-- Grain:   no row, or one.
-- Parameters: run_key.
select
    run.state as run_state, load.load_id, load.state, load.judged_at,
    exists (select from irt.publication as p where p.load_id = load.load_id) as was_published
from irt.run as run
left join irt.load as load on load.load_id = run.load_id
where run.run_key = %(run_key)s
for update of run
