-- Purpose: most users who answer an item again are right again, or wrong again; otherwise they learn it in between, or
--          see the solution, and it matters which of the answers counts.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, max_disagreeing_share.
with counted as (
    select
        coalesce((load.counts ->> 'pairs_repeated')::float8, 0) as pairs,
        coalesce((load.counts ->> 'pairs_disagree')::float8, 0) as disagree,
        load.settings ->> 'attempt_policy' as policy
    from irt.load as load
    where load.load_id = %(load_id)s
),

judged as (
    select
        pairs, disagree, policy,
        pairs < 20 or disagree <= %(max_disagreeing_share)s::float8 * pairs as passed
    from counted
)

select
    passed,
    disagree / nullif(pairs, 0) as figure,
    format('<= %%s', %(max_disagreeing_share)s::text) as threshold,
    case when pairs < 20 then format('%%s items answered repeatedly by the same user: too few to judge', pairs)
        else format(
            'of %%s items answered repeatedly by the same user, %%s were right and wrong, at most %%s %%%% allowed%%s',
            pairs, disagree, round(%(max_disagreeing_share)s::numeric * 100, 1),
            case when not passed then format(
                '; probably learnt in between: attempt_policy says which answer counts (now the %%s)', policy
            ) end
        ) end as finding
from judged
