-- Purpose: the abilities as consumers read them.
-- Grain:   one user and version.
-- Parameters: none.
select user_id, version, theta, se
from mirt_ability
order by user_id, version
