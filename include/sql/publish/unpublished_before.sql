-- Purpose: did the bank's run before this one come to nothing? Then this publication is a recovery. A dry run was not
--          meant to be published: it neither failed nor mended anything, and the run before it is asked.
-- Grain:   no row, or the run before, if it was not published.
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
