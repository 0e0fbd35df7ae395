-- Purpose: find out whether this publication is a recovery, that is, whether the bank's previous run was not published.
--          A dry run neither failed nor recovered anything, so the run before it counts.
-- Grain:   no row, or the previous run, if it was not published.
-- Parameters: run_key, bank, window_end.
select before.run_key, before.state
from (
    select run_key, state
    from irt.run
    where bank = %(bank)s and window_end < %(window_end)s::timestamptz and run_key <> %(run_key)s
        and not coalesce((settings ->> 'dry_run')::boolean, false)
    order by window_end desc, registered_at desc
    limit 1
) as before
where before.state in ('running', 'loaded', 'rejected', 'accepted')
