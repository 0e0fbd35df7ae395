-- Purpose: make room for this run's items, so that a load can be repeated.
-- Grain:   all items of one run.
-- Parameters: run_key.
delete from irt.run_item where run_key = %(run_key)s
