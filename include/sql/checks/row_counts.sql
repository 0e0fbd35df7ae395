-- Purpose: the run tables have as many items and abilities as the service's result says, and at least one of each.
--          Items that are held because they moved are among the service's items.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id.
select
    items.n + held.n - coalesce((load.result ->> 'n_held')::bigint, 0) = (load.result ->> 'n_items')::bigint
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
cross join lateral (select count(*) as n from irt.load_held as h where h.load_id = load.load_id) as held
cross join lateral (select count(*) as n from irt.load_ability as p where p.load_id = load.load_id) as abilities
where load.load_id = %(load_id)s
