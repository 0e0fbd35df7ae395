-- Purpose: items of a load, published and held, with their change since the bank last published them.
-- Grain:   one item; `total` is the number of items that match.
-- Parameters: run_key, load_id, search (part of an id, empty: all), verdict (published, held, warned, anchor, or empty:
--          all), sort (a column's name), direction (1, -1), most, skipped.
with before as materialized (
    select publication_id, load_id from irt.published_before where run_key = %(run_key)s
),

-- As irt.item_published_before, which sorts the items of all nights: nearly all items are in the last publication.
named as (
    select
        item.*, published.b as b_before, published.se_b as se_b_before, item.b - published.b as change_b,
        (item.fit ->> 'rmsd')::float8 as rmsd, (item.fit ->> 'infit')::float8 as infit,
        (item.fit ->> 'outfit')::float8 as outfit
    from irt.load_estimate as item
    left join irt.load_item as newest
        on newest.load_id = (select load_id from before order by publication_id desc limit 1)
        and newest.item_id = item.item_id
    left join lateral (
        select i.b, i.se_b
        from before
        inner join irt.load_item as i on i.load_id = before.load_id
        where newest.item_id is null and i.item_id = item.item_id
        order by before.publication_id desc
        limit 1
    ) as earlier on true
    cross join lateral (
        select coalesce(newest.b, earlier.b) as b, coalesce(newest.se_b, earlier.se_b) as se_b
    ) as published
    where item.load_id = %(load_id)s
        and position(lower(%(search)s::text) in lower(item.item_id)) > 0
        and case %(verdict)s::text
            when 'held' then item.is_held
            when 'published' then not item.is_held
            when 'warned' then item.reasons is not null and not item.is_held
            when 'anchor' then item.anchor is not null
            else true
        end
)

select *, count(*) over () as total
from named
order by
    case %(sort)s::text
        when 'a' then a when 'b' then b when 'c' then c when 'se_a' then se_a when 'se_b' then se_b
        when 'n_responses' then n_responses when 'p_correct' then p_correct when 'rmsd' then rmsd
        when 'infit' then infit when 'outfit' then outfit when 'change_b' then change_b
        when 'is_held' then is_held::int
    end * %(direction)s::int nulls last,
    case when %(sort)s::text = 'item_id' and %(direction)s::int < 0 then item_id end desc,
    item_id
limit %(most)s
offset %(skipped)s
