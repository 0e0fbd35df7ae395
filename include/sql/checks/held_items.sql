-- Purpose: few items are held; otherwise something is wrong with all of them, such as the answers or the scale.
-- Grain:   one row: passed, figure, threshold, finding (names the first items, with what was found).
-- Parameters: load_id, max_held_share.
with counted as (
    select
        (select count(*) from irt.load_held as h where h.load_id = %(load_id)s) as held,
        (select count(*) from irt.load_item as i where i.load_id = %(load_id)s) as kept
)

select
    held <= %(max_held_share)s::float8 * (held + kept) as passed,
    held::float8 / nullif(held + kept, 0) as figure,
    format('<= %%s', %(max_held_share)s::text) as threshold,
    format(
        '%%s of %%s items held, at most %%s %%%% allowed%%s',
        held, held + kept, round(%(max_held_share)s::numeric * 100, 1),
        '; first: '
        || (select string_agg(format('item %%s (%%s)', f.item_id, f.told), ', ' order by f.item_id)
            from (
                select
                    h.item_id,
                    (
                        select string_agg(concat_ws(' ', r ->> 'reason', round((r ->> 'figure')::numeric, 2)), ', ')
                        from json_array_elements(h.reasons) as r
                        where r ->> 'action' = 'hold'
                    ) as told
                from irt.load_held as h
                where h.load_id = %(load_id)s
                order by h.item_id
                limit 10
            ) as f)
    ) as finding
from counted
