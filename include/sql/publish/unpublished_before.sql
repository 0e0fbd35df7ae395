-- Purpose: find out whether this publication is a recovery, that is, whether the bank's previous run was not published.
-- Grain:   no row, or the previous run, if it should have been published and was not.
-- Parameters: run_key, bank, window_end.
select before.run_key, before.state
from (
    select run_key, state, settings
    from irt.run
    where bank = %(bank)s and window_end < %(window_end)s::timestamptz and run_key <> %(run_key)s
    order by window_end desc, registered_at desc
    limit 1
) as before
where before.state in ('running', 'loaded', 'rejected', 'accepted')
    and not coalesce((before.settings ->> 'dry_run')::boolean, false)
