-- Purpose: the newest answer is recent; otherwise answers no longer arrive in the database.
-- Grain:   one row: passed, figure (days), threshold, finding.
-- Parameters: load_id, max_data_age_days.
with age as (
    select
        counts ->> 'last_answer_at' as last_answer_at,
        extract(epoch from window_end - (counts ->> 'last_answer_at')::timestamptz) / 86400.0 as days
    from irt.load
    where load_id = %(load_id)s
)

select
    coalesce(days <= %(max_data_age_days)s::float8, false) as passed,
    days::float8 as figure,
    format('<= %%s days', %(max_data_age_days)s::text) as threshold,
    format(
        'the newest answer is from %%s, %%s days before the end of the window, at most %%s',
        coalesce(last_answer_at, 'unknown'), coalesce(round(days::numeric, 2)::text, 'unknown'),
        %(max_data_age_days)s::text
    ) as finding
from age
