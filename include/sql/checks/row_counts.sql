-- Purpose: the run tables have as many items and abilities as the service's result says, and at least one of each.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id.
select
    items.n = (load.result ->> 'n_items')::bigint
        and abilities.n = (load.result ->> 'n_abilities')::bigint
        and items.n > 0 and abilities.n > 0 as passed,
    items.n::float8 as figure,
    load.result ->> 'n_items' as threshold,
    format(
        '%%s items and %%s abilities loaded; the result says %%s and %%s',
        items.n, abilities.n, load.result ->> 'n_items', load.result ->> 'n_abilities'
    ) as finding
from irt.load as load
cross join lateral (select count(*) as n from irt.load_item as i where i.load_id = load.load_id) as items
cross join lateral (select count(*) as n from irt.load_ability as p where p.load_id = load.load_id) as abilities
where load.load_id = %(load_id)s
