-- Purpose: the run that consumers read before this one; what changed is judged against it.
-- Grain:   no row, or one run key.
-- Parameters: run_key, bank, window_end.
select coalesce(model_spec ->> 'run_key', run_id) as run_key
from mirt_fit_meta
where model_spec ->> 'bank' = %(bank)s
    and fitted_at <= %(window_end)s::timestamptz
    and coalesce(model_spec ->> 'run_key', run_id) <> %(run_key)s
order by fitted_at desc, run_id desc
limit 1
