-- Purpose: few sessions end in a run of rapid wrong answers; otherwise time was too short or people gave up, and items
--          at the end look harder than they are.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, rapid_ms, max_not_reached_share.
with counted as (
    select
        coalesce((counts ->> 'sessions')::float8, 0) as sessions,
        coalesce((counts ->> 'sessions_not_reached')::float8, 0) as ending,
        coalesce((counts ->> 'sessions_unordered')::float8, 0) as unordered
    from irt.load
    where load_id = %(load_id)s
),

judged as (
    select
        sessions, ending, unordered,
        sessions < 20 or ending <= %(max_not_reached_share)s::float8 * sessions as passed
    from counted
)

select
    passed,
    ending / nullif(sessions, 0) as figure,
    format('<= %%s', %(max_not_reached_share)s::text) as threshold,
    case when sessions < 20
        then format('%%s sessions with response times and a known order: too few to judge', sessions)
        else format(
            '%%s of %%s sessions end in wrong answers that took less than %%s ms each, at most %%s %%%% allowed%%s',
            ending, sessions, %(rapid_ms)s::text, round(%(max_not_reached_share)s::numeric * 100, 1),
            case when not passed then '; probably items that were not reached: not_reached: leave_out, with '
                || 'min_response_ms, leaves them out' end
        ) end
    || case when unordered > 0 then format(
        '; in %%s other sessions all answers have the same time (extract: {source: exam_results} knows their order)',
        unordered
    ) else '' end as finding
from judged
