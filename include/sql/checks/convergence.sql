-- Purpose: the estimation converged, at a finite log-likelihood.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id.
select
    -- NULL if the service states neither.
    case when coalesce(result -> 'metrics' ->> 'converged', result -> 'metrics' ->> 'loglik') is not null
        then coalesce(
            (result -> 'metrics' ->> 'converged')::boolean
            and abs((result -> 'metrics' ->> 'loglik')::float8) < 'infinity'::float8,
            false
        ) end as passed,
    (result -> 'metrics' ->> 'n_iterations')::float8 as figure,
    'converged' as threshold,
    format(
        'converged %%s after %%s iterations, log-likelihood %%s',
        coalesce(result -> 'metrics' ->> 'converged', 'not stated'),
        coalesce(result -> 'metrics' ->> 'n_iterations', 'unknown'),
        coalesce(result -> 'metrics' ->> 'loglik', 'not stated')
    ) as finding
from irt.load
where load_id = %(load_id)s
