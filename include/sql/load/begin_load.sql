-- Purpose: begin a load of a run: record the service's summary of the result and the run's current settings. The run
--          stays locked until the transaction ends.
-- Grain:   the id of the load; no row if the run is not in the registry.
-- Parameters: run_key, result (JSON: model_spec, metrics, excluded, n_items, n_abilities, n_anchors_sent, seconds).
with run as (
    update irt.run
    set
        timings = timings || jsonb_strip_nulls(jsonb_build_object('calibrate', %(result)s::jsonb -> 'seconds')),
        changed_at = now()
    where run_key = %(run_key)s
    returning run_key, bank, window_start, window_end, settings, counts
)

insert into irt.load (run_key, bank, window_start, window_end, settings, counts, result, engine)
select
    run_key, bank, window_start, window_end, settings, counts, %(result)s::jsonb,
    concat_ws(
        ' ',
        %(result)s::jsonb -> 'model_spec' -> 'engine' ->> 'name',
        %(result)s::jsonb -> 'model_spec' -> 'engine' ->> 'version'
    )
from run
returning load_id
