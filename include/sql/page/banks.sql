-- Purpose: all banks: what consumers read of each, since when, and what its last run came to.
-- Grain:   one bank that has ever been run.
-- Parameters: none.
select
    run.bank, run.run_key, run.state, run.window_end,
    -- After a rollback, the run that it returned to.
    published.run_key as published_run, current.load_id as published_load, current.published_at,
    extract(epoch from now() - current.published_at)::float8 / 3600 as published_hours_ago,
    (load.result -> 'model_spec' ->> 'n_users')::bigint as users,
    (load.result -> 'model_spec' ->> 'n_items')::bigint as items,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'slope')::float8 as slope,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'intercept')::float8 as intercept,
    (select count(*) from irt.load_held as h where h.load_id = run.load_id) as held,
    (select count(*) from irt.load_check as c where c.load_id = run.load_id and not c.passed) as checks_not_passed
from irt.last_run as run
left join irt.load as load on load.load_id = run.load_id
left join irt.current_publication as current on current.bank = run.bank
left join irt.load as published on published.load_id = current.load_id
order by run.bank
