-- Purpose: few items have several times more or fewer answers than in the last publication; otherwise answers were lost
--          or imported twice, or a few users practise the same items again and again.
-- Grain:   one row: passed, figure, threshold, finding (names the item that changed the most).
-- Parameters: load_id, previous_load_id and previous_run_key (NULL: nothing is published yet), jump_factor,
--             max_jumped_share.
with compared as (
    select
        now.item_id, now.n_responses as now, before.n_responses as before,
        greatest(now.n_responses, before.n_responses)::float8 / greatest(least(now.n_responses, before.n_responses), 1)
            as factor
    from irt.load_item as now
    inner join irt.load_item as before on before.item_id = now.item_id and before.load_id = %(previous_load_id)s::bigint
    -- A few answers more or fewer are no jump, whatever the factor.
    where now.load_id = %(load_id)s and greatest(now.n_responses, before.n_responses) >= 50
),

counted as (
    select
        count(*)::float8 as items,
        count(*) filter (where factor > %(jump_factor)s::float8)::float8 as jumped,
        (array_agg(format('%%s from %%s to %%s', item_id, before, now) order by factor desc, item_id))[1] as most
    from compared
),

judged as (
    select
        items, jumped, most,
        items < 10 or jumped <= %(max_jumped_share)s::float8 * items as passed
    from counted
)

select
    passed,
    jumped / nullif(items, 0) as figure,
    format('<= %%s', %(max_jumped_share)s::text) as threshold,
    case when items < 10 then format('%%s items with 50 answers in common with a publication: too few to judge', items)
        else format(
            'the answers of %%s of %%s items changed by more than a factor of %%s since run %%s, at most %%s %%%% '
            'allowed; most: item %%s%%s',
            jumped, items, %(jump_factor)s::text, %(previous_run_key)s::text,
            round(%(max_jumped_share)s::numeric * 100, 1), most,
            case when not passed then '; another window (lookback_days), answers lost or imported twice, or a few very '
                || 'active users (max_answers_per_user)' end
        ) end as finding
from judged
