-- Purpose: items of a load, published and held, with their change since the bank last published them.
-- Grain:   one item; `total` is the number of items that match.
-- Parameters: run_key, load_id, search (part of an id, empty: all), verdict (published, held, warned, anchor, or empty:
--          all), sort (a column's name), direction (1, -1), most, skipped.
with published as (
    select distinct on (i.item_id) i.item_id, i.b, i.se_b
    from irt.published_before as p
    inner join irt.load_item as i on i.load_id = p.load_id
    where p.run_key = %(run_key)s
    order by i.item_id, p.publication_id desc
),

item as (
    select item_id, model, a, b, c, se_a, se_b, se_c, n_responses, p_correct, anchor, fit, reasons, false as is_held
    from irt.load_item
    where load_id = %(load_id)s
    union all
    select item_id, model, a, b, c, se_a, se_b, se_c, n_responses, p_correct, anchor, fit, reasons, true
    from irt.load_held
    where load_id = %(load_id)s
),

named as (
    select
        item.*, published.b as b_before, published.se_b as se_b_before, item.b - published.b as change_b,
        (item.fit ->> 'rmsd')::float8 as rmsd, (item.fit ->> 'infit')::float8 as infit,
        (item.fit ->> 'outfit')::float8 as outfit
    from item
    left join published on published.item_id = item.item_id
    where position(lower(%(search)s::text) in lower(item.item_id)) > 0
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
