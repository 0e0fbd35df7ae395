-- Purpose: the last load of a run.
-- Grain:   no row, or one load.
-- Parameters: run_key.
select load_id from irt.run where run_key = %(run_key)s and load_id is not null
