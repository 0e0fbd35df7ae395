-- Purpose: the service had to exclude no more than the bank's share of items.
-- Grain:   one row: passed, finding.
-- Parameters: run_key, max_excluded_share.
with counted as (
    select
        jsonb_array_length(coalesce(result -> 'excluded' -> 'items', '[]')) as excluded,
        (result ->> 'n_items')::int as kept
    from irt.run
    where run_key = %(run_key)s
)

select
    excluded <= %(max_excluded_share)s::float8 * (excluded + kept) as passed,
    format(
        '%%s of %%s items excluded, at most %%s %%%% allowed',
        excluded, excluded + kept, round((%(max_excluded_share)s::numeric * 100), 1)
    ) as finding
from counted
