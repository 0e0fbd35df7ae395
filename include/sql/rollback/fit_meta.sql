-- Purpose: a publication of its own for the return, so that consumers and status read it as the newest, and nothing older
--          than it overwrites it.
-- Grain:   one rollback.
-- Parameters: rollback_id, run_key, rollback (JSON: by, reason, from), at.
insert into mirt_fit_meta (run_id, model_spec, metrics, fitted_at)
select
    %(rollback_id)s,
    f.model_spec || jsonb_build_object('run_key', f.run_id, 'rollback', %(rollback)s::jsonb),
    f.metrics,
    %(at)s::timestamptz
from mirt_fit_meta as f
where f.run_id = %(run_key)s
on conflict (run_id) do update set
    model_spec = excluded.model_spec,
    metrics = excluded.metrics,
    fitted_at = excluded.fitted_at
