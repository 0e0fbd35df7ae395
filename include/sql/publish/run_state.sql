-- Purpose: the state of a run and since when, held until the transaction ends, so that nobody loads it anew meanwhile.
-- Grain:   no row, or one.
-- Parameters: run_key.
select state, changed_at from irt.run where run_key = %(run_key)s for update
