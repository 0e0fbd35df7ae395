-- Purpose: the bank hangs together: no part of it shares only a handful of users with the rest. Their abilities alone
--          would carry the scale from one part to the other.
-- Grain:   one row: passed, figure (share of the items in such parts), threshold, finding (names the first part).
-- Parameters: load_id, max_weak_share.
with weak as (
    select part.body, part.place
    from irt.load as l
    cross join jsonb_array_elements(coalesce(l.result -> 'model_spec' -> 'weak_links', '[]'))
    with ordinality as part (body, place)
    where l.load_id = %(load_id)s
),

counted as (
    select
        coalesce((select sum((body ->> 'n_items')::int) from weak), 0) as items,
        (l.result ->> 'n_items')::int as all_items,
        l.result -> 'model_spec' -> 'weak_links' is not null as looked
    from irt.load as l
    where l.load_id = %(load_id)s
)

select
    items <= %(max_weak_share)s::float8 * all_items as passed,
    items::float8 / nullif(all_items, 0) as figure,
    format('<= %%s', %(max_weak_share)s::text) as threshold,
    case when not looked then 'the service did not look: nothing to judge'
        else format(
            '%%s of %%s items have few users in common with the others%%s', items, all_items,
            (
                select
                    format(
                        '; the largest part: %%s items with %%s users, %%s of them in common, such as item %%s',
                        body ->> 'n_items', body ->> 'n_users', body ->> 'n_common_users', body -> 'item_ids' ->> 0
                    )
                from weak
                where place = 1
            )
        ) end as finding
from counted
