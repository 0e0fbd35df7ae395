-- Purpose: the operators' morning questions: what was calibrated last, how much of it in the last day, on what scale.
-- Grain:   one bank that was ever run.
-- Parameters: none.
select
    run.bank,
    last_fit.fitted_at as last_calibration,
    (
        select count(*) from mirt_item_params as i
        where i.version = run.bank and i.fitted_at > now() - interval '1 day'
    ) as items_last_day,
    (
        select count(*) from mirt_ability as p
        where p.version = run.bank and p.fitted_at > now() - interval '1 day'
    ) as users_last_day,
    (last_fit.model_spec ->> 'n_anchors')::int as anchors,
    (last_fit.model_spec -> 'linking_constants' ->> 'slope')::float8 as slope,
    (last_fit.model_spec -> 'linking_constants' ->> 'intercept')::float8 as intercept,
    run.state as last_run_state,
    run.window_end as last_run
from (select distinct on (bank) * from irt.run order by bank, window_end desc, changed_at desc) as run
left join lateral (
    select f.fitted_at, f.model_spec from mirt_fit_meta as f
    where f.model_spec ->> 'bank' = run.bank order by f.fitted_at desc limit 1
) as last_fit on true
order by run.bank
