-- Purpose: move a run to another state.
-- Grain:   one run key.
-- Parameters: run_key, state.
update irt.run set state = %(state)s, changed_at = now() where run_key = %(run_key)s
