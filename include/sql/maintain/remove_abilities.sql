-- Purpose: remove the abilities of one old run; its items stay, as the history that drift is judged against.
-- Grain:   all abilities of one run.
-- Parameters: run_key.
delete from irt.run_ability where run_key = %(run_key)s
