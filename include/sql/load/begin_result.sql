-- Purpose: note what the service says of its result, which is about to be loaded.
-- Grain:   no row, or the run key: it is in the registry.
-- Parameters: run_key, result (JSON: model_spec, metrics, excluded, n_items, n_abilities, n_anchors_sent, seconds).
update irt.run
set
    result = %(result)s::jsonb,
    engine = concat_ws(
        ' ',
        %(result)s::jsonb -> 'model_spec' -> 'engine' ->> 'name',
        %(result)s::jsonb -> 'model_spec' -> 'engine' ->> 'version'
    ),
    timings = timings || jsonb_strip_nulls(jsonb_build_object('calibrate', %(result)s::jsonb -> 'seconds')),
    approval = null,
    changed_at = now()
where run_key = %(run_key)s
returning run_key
