-- Purpose: the operators' morning check: the last calibration, how many rows it published in the last day, on what
--          scale.
-- Grain:   one bank that has ever been run.
-- Parameters: none.
select
    run.bank,
    fit.published_at as last_calibration,
    (
        select count(*) from mirt_item_params as i
        where i.version = fit.version and i.fitted_at > now() - interval '1 day'
    ) as items_last_day,
    (
        select count(*) from mirt_ability as p
        where p.version = fit.version and p.fitted_at > now() - interval '1 day'
    ) as users_last_day,
    (fit.model_spec ->> 'n_anchors')::int as anchors,
    fit.slope,
    fit.intercept,
    run.state as last_run_state,
    run.window_end as last_run
from irt.last_run as run
left join irt.fit_meta as fit on fit.bank = run.bank and fit.is_current
order by run.bank
