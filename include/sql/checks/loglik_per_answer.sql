-- Purpose: the model fits the answers about as well as the last published calibration did; a jump means other data
--          (shuffled ids, keys in the wrong order) or another model.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: run_key, previous_run_key (NULL: nothing is published yet), max_loglik_change.
with fit as (
    select
        run_key,
        (result -> 'metrics' ->> 'loglik')::float8 / nullif((result -> 'model_spec' ->> 'n_observations')::float8, 0)
            as per_answer
    from irt.run
    where run_key in (%(run_key)s, %(previous_run_key)s::text)
),

compared as (
    select
        (select per_answer from fit where run_key = %(run_key)s) as now,
        (select per_answer from fit where run_key = %(previous_run_key)s::text) as before
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
