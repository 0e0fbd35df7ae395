-- Purpose: remove the abilities of one old load; its items stay, as the history that drift is judged against.
-- Grain:   all abilities of one load.
-- Parameters: load_id.
delete from irt.load_ability where load_id = %(load_id)s
