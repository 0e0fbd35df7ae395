-- Purpose: no item of this run is published by another bank of today's banks.yaml, because an item has one row in
--          mirt_item_params. An item belongs to the bank whose last publication contains it, held or not.
-- Grain:   one row: passed, figure, threshold, finding (names the first items and their banks).
-- Parameters: load_id, bank, banks (JSON array: the names in banks.yaml).
with taken as (
    select i.item_id, p.bank
    from irt.current_publication as p
    inner join (
        select load_id, item_id from irt.load_item
        union all
        select load_id, item_id from irt.load_held
    ) as i on i.load_id = p.load_id
    inner join irt.load_item as now on now.load_id = %(load_id)s and now.item_id = i.item_id
    where p.bank <> %(bank)s and p.bank in (select jsonb_array_elements_text(%(banks)s::jsonb))
)

select
    count(*) = 0 as passed,
    count(*)::float8 as figure,
    '0 items' as threshold,
    format(
        '%%s items are published by other banks%%s',
        count(*),
        '; first: '
        || (select string_agg(format('item %%s of bank %%s', f.item_id, f.bank), ', ')
            from (select * from taken order by item_id limit 5) as f)
    ) as finding
from taken
