-- Purpose: runs whose abilities and staged objects are no longer needed: older than the days to keep, and not what
--          consumers read now.
-- Grain:   one run.
-- Parameters: as_of, keep_days.
select run.run_key, run.settings
from irt.run as run
where run.window_end < %(as_of)s::timestamptz - make_interval(days => %(keep_days)s::int)
    and not exists (
        select 1
        from (
            select distinct on (f.model_spec ->> 'bank') coalesce(f.model_spec ->> 'run_key', f.run_id) as run_key
            from mirt_fit_meta as f
            order by f.model_spec ->> 'bank', f.fitted_at desc, f.run_id desc
        ) as current
        where current.run_key = run.run_key
    )
    and (
        exists (select 1 from irt.run_ability as p where p.run_key = run.run_key)
        -- Staged objects are not known here; those of runs that ended their time within the last weeks are looked for.
        or run.window_end >= %(as_of)s::timestamptz - make_interval(days => %(keep_days)s::int + 30)
    )
order by run.window_end, run.run_key
