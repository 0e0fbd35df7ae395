-- Purpose: remove a person's published abilities, of all banks and versions.
-- Grain:   one row of mirt_ability.
-- Parameters: user_ids.
delete from mirt_ability where user_id = any(%(user_ids)s)
