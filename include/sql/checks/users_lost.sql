-- Purpose: most users of the last published calibration have an ability in this one too; a gap in the data would lose
--          many at once.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: run_key, previous_run_key (NULL: nothing is published yet), max_lost_share.
select
    coalesce(avg((now.user_id is null)::int), 0) <= %(max_lost_share)s::float8 as passed,
    avg((now.user_id is null)::int)::float8 as figure,
    format('<= %%s', %(max_lost_share)s::text) as threshold,
    case when count(*) = 0 then 'no abilities of a publication to compare with: nothing to judge'
        else format(
            '%%s of %%s users of run %%s are not in this one, at most %%s %%%% allowed',
            count(*) filter (where now.user_id is null), count(*), %(previous_run_key)s::text,
            round(%(max_lost_share)s::numeric * 100, 1)
        ) end as finding
from irt.run_ability as before
left join irt.run_ability as now on now.run_key = %(run_key)s and now.user_id = before.user_id
where before.run_key = %(previous_run_key)s::text
