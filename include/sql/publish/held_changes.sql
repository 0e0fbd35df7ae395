-- Purpose: which items are newly held or no longer held, compared with the bank's previous publication.
-- Grain:   one item: its id, whether it is held now, and why.
-- Parameters: bank, load_id.
with before as (
    select p.load_id
    from irt.publication as p
    where p.bank = %(bank)s
        and p.publication_id < (
            select max(own.publication_id) from irt.publication as own where own.load_id = %(load_id)s
        )
    order by p.publication_id desc
    limit 1
)

select
    h.item_id, true as is_held,
    (
        select string_agg(
            concat_ws(' ', r ->> 'reason', round((r ->> 'figure')::numeric, 2), 'on ' || left(r ->> 'at', 10)), ', '
        )
        from json_array_elements(h.reasons) as r
        where r ->> 'action' = 'hold'
    ) as reasons
from irt.load_held as h
where h.load_id = %(load_id)s
    and not exists (
        select from before inner join irt.load_held as was on was.load_id = before.load_id
        where was.item_id = h.item_id
    )
union all
select was.item_id, false, null
from before
inner join irt.load_held as was on was.load_id = before.load_id
inner join irt.load_item as i on i.load_id = %(load_id)s and i.item_id = was.item_id
order by is_held desc, item_id
