-- Purpose: the answers compare nearly all items; those that share no user with the others were not calibrated.
-- Grain:   one row: passed, figure, threshold, finding (names the first items, with the size of their group).
-- Parameters: load_id, max_unlinked_share.
with excluded as (
    select e.item
    from irt.load as l
    cross join jsonb_array_elements(coalesce(l.result -> 'excluded' -> 'items', '[]')) as e (item)
    where l.load_id = %(load_id)s
),

unlinked as (
    select
        item ->> 'item_id' as item_id,
        item -> 'component' ->> 'items' as items,
        item -> 'component' ->> 'users' as users
    from excluded
    where item ->> 'reason' = 'not linked'
),

counted as (
    select
        (select count(*) from unlinked) as lost,
        (select count(*) from excluded) + (l.result ->> 'n_items')::int as items
    from irt.load as l
    where l.load_id = %(load_id)s
)

select
    lost <= %(max_unlinked_share)s::float8 * items as passed,
    lost::float8 / nullif(items, 0) as figure,
    format('<= %%s', %(max_unlinked_share)s::text) as threshold,
    format(
        '%%s of %%s items share no user with the others, at most %%s %%%% allowed%%s',
        lost, items, round((%(max_unlinked_share)s::numeric * 100), 1),
        '; first: ' || (
            select
                string_agg(format('item %%s in a group of %%s items and %%s users', f.item_id, f.items, f.users), ', ')
            from (select * from unlinked order by item_id limit 5) as f
        )
    ) as finding
from counted
