-- Purpose: give the users of the run to return to the abilities that it had for them. Others keep their row.
-- Grain:   one user of the bank.
-- Parameters: run_key, bank, target_window_end.
insert into mirt_ability (user_id, theta, se, model, version, fitted_at)
select p.user_id, p.theta, p.se, run.settings ->> 'model', run.bank, run.window_end
from irt.run_ability as p
inner join irt.run as run on run.run_key = p.run_key
where p.run_key = %(run_key)s
order by p.user_id
on conflict (user_id, version) do update set
    theta = excluded.theta,
    se = excluded.se,
    model = excluded.model,
    fitted_at = excluded.fitted_at
