-- Purpose: note that a run's staged inputs were removed, so that a replay can say so.
-- Grain:   one receipt of the run that had inputs.
-- Parameters: run_key.
update irt.receipt as receipt
set inputs_removed_at = now()
from irt.load as load
where load.load_id = receipt.load_id and load.run_key = %(run_key)s and receipt.inputs_removed_at is null
