-- Purpose: make room for this run's abilities, so that a load can be repeated.
-- Grain:   all abilities of one run.
-- Parameters: run_key.
delete from irt.run_ability where run_key = %(run_key)s
