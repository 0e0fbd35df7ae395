-- Purpose: the figures of one DAG run, per bank.
-- Grain:   one bank of the run.
-- Parameters: dag_run_id.
select
    run.bank,
    run.state,
    (run.counts ->> 'responses')::bigint as responses,
    coalesce((load.result ->> 'n_abilities')::bigint, (run.counts ->> 'users')::bigint) as users,
    coalesce((load.result ->> 'n_items')::bigint, (run.counts ->> 'items')::bigint) as items,
    (load.result -> 'model_spec' ->> 'n_anchors')::int as anchors,
    (load.result -> 'metrics' ->> 'loglik')::float8 as loglik,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'slope')::float8 as slope,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'intercept')::float8 as intercept,
    (select count(*) from irt.load_check as c where c.load_id = run.load_id) as checks,
    (select count(*) from irt.load_check as c where c.load_id = run.load_id and c.passed) as checks_passed,
    run.counts
from irt.run as run
left join irt.load as load on load.load_id = run.load_id
where run.dag_run_id = %(dag_run_id)s
order by run.bank
