-- Purpose: the service excluded at most the share of items that the bank allows.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, max_excluded_share.
with counted as (
    select
        jsonb_array_length(coalesce(result -> 'excluded' -> 'items', '[]')) as excluded,
        (result ->> 'n_items')::int as kept
    from irt.load
    where load_id = %(load_id)s
)

select
    excluded <= %(max_excluded_share)s::float8 * (excluded + kept) as passed,
    excluded::float8 / nullif(excluded + kept, 0) as figure,
    format('<= %%s', %(max_excluded_share)s::text) as threshold,
    format(
        '%%s of %%s items excluded, at most %%s %%%% allowed',
        excluded, excluded + kept, round((%(max_excluded_share)s::numeric * 100), 1)
    ) as finding
from counted
