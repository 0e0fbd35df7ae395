-- Purpose: is a run with a later window published already? Then a cleared or late older run must not overwrite it. Asked of
--          what consumers read, which no clearing of tasks resets.
-- Grain:   no row, or the newest such run.
-- Parameters: bank, window_end.
select run_id, fitted_at
from mirt_fit_meta
where model_spec ->> 'bank' = %(bank)s and fitted_at > %(window_end)s::timestamptz
order by fitted_at desc
limit 1
