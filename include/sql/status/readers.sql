-- Purpose: users whose newest ability, as a reader finds it that does not look at the version, is not the default
--          bank's although they have one of that bank.
-- Grain:   one user.
-- Parameters: default_version.
select newest.user_id, newest.version, newest.fitted_at, own.fitted_at as default_fitted_at
from (
    select distinct on (user_id) user_id, version, fitted_at from mirt_ability order by user_id, fitted_at desc
) as newest
inner join mirt_ability as own on own.user_id = newest.user_id and own.version = %(default_version)s
where newest.version <> %(default_version)s
order by newest.user_id
