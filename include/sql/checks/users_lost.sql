-- Purpose: most users of the last published calibration have an ability in this one too; a gap in the data would drop
--          many at once.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, previous_load_id and previous_run_key (NULL: nothing is published yet), max_lost_share.
with before as materialized (
    select user_id from irt.load_ability where load_id = %(previous_load_id)s::bigint
),

-- Not a join: PostgreSQL has no statistics on a run that was just loaded, and would compare every pair.
lost as (
    select user_id from before
    except
    select user_id from irt.load_ability where load_id = %(load_id)s
),

counted as materialized (
    select (select count(*) from before) as users, (select count(*) from lost) as lost
)

select
    coalesce(lost::float8 / nullif(users, 0), 0) <= %(max_lost_share)s::float8 as passed,
    lost::float8 / nullif(users, 0) as figure,
    format('<= %%s', %(max_lost_share)s::text) as threshold,
    case when users = 0 then 'no abilities of a publication to compare with: nothing to judge'
        else format(
            '%%s of %%s users of run %%s are not in this one, at most %%s %%%% allowed',
            lost, users, %(previous_run_key)s::text, round(%(max_lost_share)s::numeric * 100, 1)
        ) end as finding
from counted
