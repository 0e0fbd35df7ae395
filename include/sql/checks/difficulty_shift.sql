-- Purpose: the scale has not shifted: the common items have the same mean difficulty as in the last publication.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, previous_load_id and previous_run_key (NULL: nothing is published yet), max_b_shift.
select
    coalesce(abs(avg(now.b - before.b)), 0) <= %(max_b_shift)s::float8 as passed,
    avg(now.b - before.b) as figure,
    format('|shift| <= %%s', %(max_b_shift)s::text) as threshold,
    case when count(*) = 0 then 'no item in common with a publication: nothing to judge'
        else format(
            'mean of b shifted by %%s since run %%s over %%s items, at most %%s',
            round(avg(now.b - before.b)::numeric, 4), %(previous_run_key)s::text, count(*), %(max_b_shift)s::text
        ) end as finding
from irt.load_item as now
inner join irt.load_item as before on before.item_id = now.item_id and before.load_id = %(previous_load_id)s::bigint
where now.load_id = %(load_id)s
