-- Purpose: banks without a good calibration since the time when one was due.
-- Grain:   one bank whose last publication is older (a return to an earlier run has the age of that run), or that has
--          none.
-- Parameters: banks (JSON array of names), as_of, since.
select
    wanted.bank,
    load.window_end as calibrated_at,
    load.run_key,
    round((extract(epoch from %(as_of)s::timestamptz - load.window_end) / 3600.0)::numeric, 1) as hours
from jsonb_array_elements_text(%(banks)s::jsonb) as wanted (bank)
left join irt.current_publication as current on current.bank = wanted.bank
left join irt.load as load on load.load_id = current.load_id
where load.window_end is null
    or load.window_end < %(since)s::timestamptz
order by wanted.bank
