-- Purpose: the figures of one DAG run, bank by bank.
-- Grain:   one bank of the run.
-- Parameters: dag_run_id.
select
    run.bank,
    run.state,
    (run.counts ->> 'responses')::bigint as responses,
    coalesce((run.result ->> 'n_abilities')::bigint, (run.counts ->> 'users')::bigint) as users,
    coalesce((run.result ->> 'n_items')::bigint, (run.counts ->> 'items')::bigint) as items,
    (run.result -> 'model_spec' ->> 'n_anchors')::int as anchors,
    (run.result -> 'metrics' ->> 'loglik')::float8 as loglik,
    (run.result -> 'model_spec' -> 'linking_constants' ->> 'slope')::float8 as slope,
    (run.result -> 'model_spec' -> 'linking_constants' ->> 'intercept')::float8 as intercept,
    (select count(*) from irt.run_check as c where c.run_key = run.run_key) as checks,
    (select count(*) from irt.run_check as c where c.run_key = run.run_key and c.passed) as checks_passed,
    run.counts
from irt.run as run
where run.dag_run_id = %(dag_run_id)s
order by run.bank
