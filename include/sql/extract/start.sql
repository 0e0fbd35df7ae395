-- Purpose: the parameters that the bank last published before this run (after a rollback: those that it returned to),
--          from which the estimation may start.
-- Grain:   no row (nothing was published before), or that publication, with its parameters of the answered items.
-- Parameters: run_key, items (JSON array of ids).
with before as (
    select p.load_id
    from irt.published_before as p
    where p.run_key = %(run_key)s
    order by p.publication_id desc
    limit 1
)

select
    load.run_key, load.settings,
    (
        select coalesce(jsonb_agg(jsonb_build_array(i.item_id, i.a, i.b, i.c)), '[]')
        from irt.load_item as i
        where i.load_id = load.load_id
            and i.item_id in (select jsonb_array_elements_text(%(items)s::jsonb))
    ) as items
from before
inner join irt.load as load on load.load_id = before.load_id
