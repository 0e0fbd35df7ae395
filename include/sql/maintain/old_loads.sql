-- Purpose: loads whose abilities and staged objects are no longer needed: older than the days to keep, and of a run
--          that consumers do not read now.
-- Grain:   one load.
-- Parameters: as_of, keep_days.
select load.load_id, load.settings
from irt.load as load
where load.window_end < %(as_of)s::timestamptz - make_interval(days => %(keep_days)s::int)
    and not exists (
        select
        from irt.current_publication as current
        inner join irt.load as read on read.load_id = current.load_id
        where read.run_key = load.run_key
    )
    and (
        exists (select from irt.load_ability as p where p.load_id = load.load_id)
        -- Staged objects are not known here; those of runs that ended their time within the last weeks are looked for.
        or load.window_end >= %(as_of)s::timestamptz - make_interval(days => %(keep_days)s::int + 30)
    )
order by load.load_id
