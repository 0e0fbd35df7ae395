-- Purpose: publish how the calibration was made and how it went.
-- Grain:   one run key.
-- Parameters: run_key, bank, window_end.
insert into mirt_fit_meta (run_id, model_spec, metrics, fitted_at)
select
    run_key,
    (result -> 'model_spec') || jsonb_build_object(
        'bank', bank, 'run_key', run_key, 'window', jsonb_build_array(window_start, window_end),
        'excluded', result -> 'excluded'
    ) || jsonb_strip_nulls(jsonb_build_object('approval', approval)),
    result -> 'metrics',
    %(window_end)s::timestamptz
from irt.run
where run_key = %(run_key)s
on conflict (run_id) do update set
    model_spec = excluded.model_spec,
    metrics = excluded.metrics,
    fitted_at = excluded.fitted_at
