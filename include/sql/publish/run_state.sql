-- Purpose: the state of a run, held until the transaction ends, so that nobody loads it anew meanwhile.
-- Grain:   no row, or one.
-- Parameters: run_key.
select state from irt.run where run_key = %(run_key)s for update
