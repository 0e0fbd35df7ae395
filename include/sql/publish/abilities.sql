-- Purpose: publish the run's abilities under the bank's version; rows of online updates have other versions.
-- Grain:   one user of the bank.
-- Parameters: run_key, bank, model, window_end.
insert into mirt_ability (user_id, theta, se, model, version, fitted_at)
select user_id, theta, se, %(model)s, %(bank)s, %(window_end)s::timestamptz
from irt.run_ability
where run_key = %(run_key)s
order by user_id
on conflict (user_id, version) do update set
    theta = excluded.theta,
    se = excluded.se,
    model = excluded.model,
    fitted_at = excluded.fitted_at
