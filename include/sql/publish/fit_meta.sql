-- Purpose: publish how the calibration was made and how it went. A return to an earlier publication has a row of its
--          own.
-- Grain:   one run key.
-- Parameters: publication_id, rollback (JSON: by, reason, from; or NULL).
insert into mirt_fit_meta (run_id, model_spec, metrics, fitted_at)
select
    p.run_id,
    (load.result -> 'model_spec') || jsonb_build_object(
        'bank', p.bank, 'version', p.version, 'run_key', load.run_key, 'publication_id', p.publication_id,
        'window', jsonb_build_array(load.window_start, load.window_end), 'excluded', load.result -> 'excluded'
    ) || jsonb_strip_nulls(jsonb_build_object('approval', load.approval, 'rollback', %(rollback)s::jsonb)),
    load.result -> 'metrics',
    p.published_at
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.publication_id = %(publication_id)s
on conflict (run_id) do update set
    model_spec = excluded.model_spec,
    metrics = excluded.metrics,
    fitted_at = excluded.fitted_at
