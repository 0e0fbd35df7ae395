-- Purpose: publish the run's abilities under the bank's version; rows of online updates have other versions, and nobody
--          else writes rows of this one. Merged, which for a million rows takes half the time of "on conflict".
-- Grain:   one user of the bank.
-- Parameters: run_key, bank, model, window_end.
merge into mirt_ability as p
using (select user_id, theta, se from irt.run_ability where run_key = %(run_key)s) as r
    on p.user_id = r.user_id and p.version = %(bank)s
when matched then update set theta = r.theta, se = r.se, model = %(model)s, fitted_at = %(window_end)s::timestamptz
when not matched then
    insert (user_id, theta, se, model, version, fitted_at)
    values (r.user_id, r.theta, r.se, %(model)s, %(bank)s, %(window_end)s::timestamptz)
