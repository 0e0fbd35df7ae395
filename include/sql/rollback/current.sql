-- Purpose: what consumers read now, or did before a first try of this rollback.
-- Grain:   no row, or the bank's newest publication.
-- Parameters: bank, rollback_id.
select run_id, coalesce(model_spec ->> 'run_key', run_id) as run_key, fitted_at
from mirt_fit_meta
where model_spec ->> 'bank' = %(bank)s and run_id <> %(rollback_id)s
order by fitted_at desc, run_id desc
limit 1
