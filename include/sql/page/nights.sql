-- Purpose: the last runs of one bank or of all, with their figures, the newest first.
-- Grain:   one run.
-- Parameters: bank (NULL: all), nights (how many runs of each bank).
with night as (
    select
        run.*, row_number() over (partition by run.bank order by run.window_end desc, run.registered_at desc) as back
    from irt.run as run
    where %(bank)s::text is null or run.bank = %(bank)s::text
)

select
    night.bank, night.run_key, night.state, night.window_start, night.window_end,
    (night.counts ->> 'responses')::bigint as responses,
    (load.result -> 'model_spec' ->> 'n_users')::bigint as users,
    (load.result -> 'model_spec' ->> 'n_items')::bigint as items,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'slope')::float8 as slope,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'intercept')::float8 as intercept,
    (load.result -> 'metrics' ->> 'loglik')::float8
    / nullif((load.result -> 'model_spec' ->> 'n_observations')::float8, 0) as loglik_per_answer,
    (load.result -> 'metrics' ->> 'marginal_reliability')::float8 as reliability,
    (select count(*) from irt.load_held as h where h.load_id = night.load_id) as held,
    (select count(*) from irt.load_check as c where c.load_id = night.load_id and not c.passed) as checks_not_passed,
    night.timings,
    (
        select max(p.published_at) from irt.publication as p
        inner join irt.load as published on published.load_id = p.load_id
        where published.run_key = night.run_key
    ) as published_at,
    exists (
        select from irt.current_publication as p
        inner join irt.load as published on published.load_id = p.load_id
        where published.run_key = night.run_key
    ) as is_current,
    exists (
        select from irt.publication as p
        inner join irt.load as published on published.load_id = p.load_id
        where published.run_key = night.run_key and p.kind = 'rollback'
    ) as is_returned_to
from night
left join irt.load as load on load.load_id = night.load_id
where night.back <= %(nights)s
order by night.bank, night.window_end desc, night.registered_at desc
