-- Purpose: few answers of the window belong to no bank: they have no topic, or no bank names their topic or exam.
--          Counted once per night, by the default bank.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, max_passed_over_share.
with counted as (
    select
        (counts ->> 'window_answers')::float8 as answers,
        (counts ->> 'passed_over')::float8 as passed_over,
        counts ->> 'without_topic' as without_topic
    from irt.load
    where load_id = %(load_id)s
)

select
    coalesce(passed_over <= %(max_passed_over_share)s::float8 * answers, true) as passed,
    passed_over / nullif(answers, 0) as figure,
    format('<= %%s', %(max_passed_over_share)s::text) as threshold,
    case when answers is null then 'counted by the default bank: nothing to judge here'
        else format(
            '%%s of %%s answers of the window belong to no bank, %%s without a topic; at most %%s %%%% allowed',
            passed_over, answers, without_topic, round(%(max_passed_over_share)s::numeric * 100, 1)
        ) end as finding
from counted
