-- Purpose: few items have moved far (|change of b| > 0.5) since the last published calibration.
-- Grain:   one row: passed, figure, threshold, finding (names the item that moved the most).
-- Parameters: load_id, previous_load_id and previous_run_key (NULL: nothing is published yet), max_moved_share.
with compared as (
    select now.item_id, now.b - before.b as change
    from irt.load_item as now
    inner join irt.load_item as before on before.item_id = now.item_id and before.load_id = %(previous_load_id)s::bigint
    where now.load_id = %(load_id)s
)

select
    coalesce(avg((abs(change) > 0.5)::int), 0) <= %(max_moved_share)s::float8 as passed,
    avg((abs(change) > 0.5)::int)::float8 as figure,
    format('<= %%s', %(max_moved_share)s::text) as threshold,
    case when count(*) = 0 then 'no item in common with a publication: nothing to judge'
        else format(
            '%%s of %%s items moved by more than 0.5 since run %%s, at most %%s %%%% allowed; most: item %%s by %%s',
            count(*) filter (where abs(change) > 0.5), count(*), %(previous_run_key)s::text,
            round(%(max_moved_share)s::numeric * 100, 1),
            (array_agg(item_id order by abs(change) desc, item_id))[1],
            round(((array_agg(change order by abs(change) desc, item_id))[1])::numeric, 3)
        ) end as finding
from compared
