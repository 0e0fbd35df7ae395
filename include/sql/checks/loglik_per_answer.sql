-- Purpose: the model fits the answers about as well as in the last published calibration; a jump means other data
--          (shuffled ids, answer keys in the wrong order) or another model.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, previous_load_id and previous_run_key (NULL: nothing is published yet), max_loglik_change.
with fit as (
    select
        load_id,
        (result -> 'metrics' ->> 'loglik')::float8 / nullif((result -> 'model_spec' ->> 'n_observations')::float8, 0)
            as per_answer
    from irt.load
    where load_id in (%(load_id)s, %(previous_load_id)s::bigint)
),

compared as (
    select
        (select per_answer from fit where load_id = %(load_id)s) as now,
        (select per_answer from fit where load_id = %(previous_load_id)s::bigint) as before
)

select
    coalesce(abs(now - before) <= %(max_loglik_change)s::float8, true) as passed,
    now - before as figure,
    format('|change| <= %%s', %(max_loglik_change)s::text) as threshold,
    case when now is null or before is null then 'no log-likelihood of a publication to compare with: nothing to judge'
        else format(
            'log-likelihood per answer %%s, was %%s in run %%s, at most %%s apart',
            round(now::numeric, 4), round(before::numeric, 4), %(previous_run_key)s::text, %(max_loglik_change)s::text
        ) end as finding
from compared
