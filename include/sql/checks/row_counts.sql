-- Purpose: the run tables hold as many items and abilities as the service's result says, and at least one of each.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: run_key.
select
    items.n = (run.result ->> 'n_items')::bigint
        and abilities.n = (run.result ->> 'n_abilities')::bigint
        and items.n > 0 and abilities.n > 0 as passed,
    items.n::float8 as figure,
    run.result ->> 'n_items' as threshold,
    format(
        '%%s items and %%s abilities loaded; the result says %%s and %%s',
        items.n, abilities.n, run.result ->> 'n_items', run.result ->> 'n_abilities'
    ) as finding
from irt.run as run
cross join lateral (select count(*) as n from irt.run_item as i where i.run_key = run.run_key) as items
cross join lateral (select count(*) as n from irt.run_ability as p where p.run_key = run.run_key) as abilities
where run.run_key = %(run_key)s
