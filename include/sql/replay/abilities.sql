-- Purpose: the abilities of a load; none once the daily check has removed them.
-- Grain:   one user.
-- Parameters: load_id.
select user_id, theta, se from irt.load_ability where load_id = %(load_id)s
