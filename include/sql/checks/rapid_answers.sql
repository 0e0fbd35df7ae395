-- Purpose: few answers took less time than it takes to read an item; otherwise many are guesses (rapid guessing), which
--          make items look harder and less discriminating.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, rapid_ms, max_rapid_share.
with counted as (
    select
        coalesce((counts ->> 'answers_timed')::float8, 0) as timed,
        coalesce((counts ->> 'answers_rapid')::float8, 0) as rapid
    from irt.load
    where load_id = %(load_id)s
),

judged as (
    select timed, rapid, timed < 100 or rapid <= %(max_rapid_share)s::float8 * timed as passed from counted
)

select
    passed,
    rapid / nullif(timed, 0) as figure,
    format('<= %%s', %(max_rapid_share)s::text) as threshold,
    case when timed < 100 then format('%%s answers with a response time: too few to judge', timed)
        else format(
            '%%s of %%s answers with a response time took less than %%s ms, at most %%s %%%% allowed%%s',
            rapid, timed, %(rapid_ms)s::text, round(%(max_rapid_share)s::numeric * 100, 1),
            case when not passed then '; probably guesses: min_response_ms leaves them out' end
        ) end as finding
from judged
