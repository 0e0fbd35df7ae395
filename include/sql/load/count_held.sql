-- Purpose: how many items of a load are held.
-- Grain:   one number.
-- Parameters: load_id.
select count(*) from irt.load_held where load_id = %(load_id)s
