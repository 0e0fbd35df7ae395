-- Purpose: few users have only wrong answers; otherwise they did not try, or correctness was stored wrongly.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, min_judged_answers, max_wrong_throughout_share.
with counted as (
    select
        coalesce((counts ->> 'users_judged')::float8, 0) as users,
        coalesce((counts ->> 'users_wrong_throughout')::float8, 0) as wrong
    from irt.load
    where load_id = %(load_id)s
),

judged as (
    select users, wrong, users < 20 or wrong <= %(max_wrong_throughout_share)s::float8 * users as passed from counted
)

select
    passed,
    wrong / nullif(users, 0) as figure,
    format('<= %%s', %(max_wrong_throughout_share)s::text) as threshold,
    case when users < 20
        then format('%%s users with at least %%s answers: too few to judge', users, %(min_judged_answers)s::text)
        else format(
            '%%s of %%s users with at least %%s answers are wrong throughout, at most %%s %%%% allowed%%s',
            wrong, users, %(min_judged_answers)s::text, round(%(max_wrong_throughout_share)s::numeric * 100, 1),
            case when not passed then '; they probably did not try (min_response_ms leaves out rapid answers), or '
                || 'correctness is stored wrongly' end
        ) end as finding
from judged
