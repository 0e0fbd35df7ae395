-- Purpose: the difficulties rank the items as the last published calibration did.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, previous_load_id and previous_run_key (NULL: nothing is published yet), min_b_correlation.
with compared as (
    select now.b as b_now, before.b as b_before
    from irt.load_item as now
    inner join irt.load_item as before on before.item_id = now.item_id and before.load_id = %(previous_load_id)s::bigint
    where now.load_id = %(load_id)s
)

select
    -- A correlation of a few items means nothing, and equal difficulties have none.
    count(*) < 10 or coalesce(corr(b_now, b_before), 1) >= %(min_b_correlation)s::float8 as passed,
    corr(b_now, b_before) as figure,
    format('>= %%s', %(min_b_correlation)s::text) as threshold,
    case when count(*) < 10 then format('%%s items in common with the last publication: too few to judge', count(*))
        else format(
            'correlation of b %%s with run %%s over %%s items, at least %%s',
            round(corr(b_now, b_before)::numeric, 4), %(previous_run_key)s::text, count(*), %(min_b_correlation)s::text
        ) end as finding
from compared
