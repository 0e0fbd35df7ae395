-- Purpose: which banks have no good calibration of the last day.
-- Grain:   one bank whose last publication (a return to an earlier one counts as of the run returned to) is older, or
--          that has none.
-- Parameters: banks (JSON array of names), as_of, max_hours.
with last_good as (
    select distinct on (f.model_spec ->> 'bank')
        f.model_spec ->> 'bank' as bank,
        coalesce(f.model_spec ->> 'run_key', f.run_id) as run_key,
        coalesce((f.model_spec -> 'window' ->> 1)::timestamptz, f.fitted_at) as calibrated_at
    from mirt_fit_meta as f
    order by f.model_spec ->> 'bank', f.fitted_at desc, f.run_id desc
)

select
    wanted.bank,
    last_good.calibrated_at,
    last_good.run_key,
    round((extract(epoch from %(as_of)s::timestamptz - last_good.calibrated_at) / 3600.0)::numeric, 1) as hours
from jsonb_array_elements_text(%(banks)s::jsonb) as wanted (bank)
left join last_good on last_good.bank = wanted.bank
where last_good.calibrated_at is null
    or last_good.calibrated_at < %(as_of)s::timestamptz - make_interval(hours => %(max_hours)s::int)
order by wanted.bank
