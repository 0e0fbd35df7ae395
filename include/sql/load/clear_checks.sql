-- Purpose: forget the verdicts on an earlier load of this run.
-- Grain:   all checks of one run.
-- Parameters: run_key.
delete from irt.run_check where run_key = %(run_key)s
