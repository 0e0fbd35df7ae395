-- Purpose: note what the service says of its result; the run is running again until it is judged.
-- Grain:   one run key.
-- Parameters: run_key, result (JSON: model_spec, metrics, excluded, n_items, n_abilities, n_anchors_sent).
update irt.run set state = 'running', result = %(result)s::jsonb, changed_at = now() where run_key = %(run_key)s
