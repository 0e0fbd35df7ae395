-- Purpose: note that a run's staged inputs went because somebody was forgotten, but not who: it cannot be replayed.
-- Grain:   one receipt of the run.
-- Parameters: run_key.
update irt.receipt as receipt
set forgotten_at = now()
from irt.load as load
where load.load_id = receipt.load_id and load.run_key = %(run_key)s
