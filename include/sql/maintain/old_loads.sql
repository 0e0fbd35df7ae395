-- Purpose: loads whose abilities and staged objects are no longer needed: older than keep_days, and of a run that
--          consumers do not read now. The inputs of a run that was published are kept longer, for a replay.
-- Grain:   one load, and whether the inputs stay.
-- Parameters: as_of, keep_days, keep_inputs_days (not fewer than keep_days).
with old as (
    select
        load.load_id, load.run_key, load.settings, load.window_end,
        load.window_end >= %(as_of)s::timestamptz - make_interval(days => %(keep_inputs_days)s::int)
        and exists (
            select
            from irt.publication as p
            inner join irt.load as published on published.load_id = p.load_id
            where published.run_key = load.run_key
        ) as keeps_inputs
    from irt.load as load
    where load.window_end < %(as_of)s::timestamptz - make_interval(days => %(keep_days)s::int)
        and not exists (
            select
            from irt.current_publication as current
            inner join irt.load as read on read.load_id = current.load_id
            where read.run_key = load.run_key
        )
)

select old.load_id, old.settings, old.keeps_inputs
from old
where exists (select from irt.load_ability as p where p.load_id = old.load_id)
    -- The database does not know all staged objects; look for those of runs that expired within the last 30 days.
    or old.window_end >= %(as_of)s::timestamptz - make_interval(days => %(keep_days)s::int + 30)
    or (
        not old.keeps_inputs
        and exists (
            select from irt.receipt as receipt where receipt.load_id = old.load_id and receipt.inputs_removed_at is null
        )
    )
order by old.load_id
