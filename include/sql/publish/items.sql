-- Purpose: publish the run's item parameters. Items that this run did not calibrate keep their row, and so do rows of
--          online updates.
-- Grain:   one item.
-- Parameters: run_key, bank, window_end.
insert into mirt_item_params (item_id, model, params, version, fitted_at)
select
    item_id,
    model,
    jsonb_strip_nulls(jsonb_build_object('a', a, 'b', b, 'c', c, 'se_a', se_a, 'se_b', se_b, 'se_c', se_c)),
    %(bank)s,
    %(window_end)s::timestamptz
from irt.run_item
where run_key = %(run_key)s
-- In a fixed order, so that nobody who updates several rows as well waits for us while we wait for them.
order by item_id
on conflict (item_id) do update set
    model = excluded.model,
    params = excluded.params,
    version = excluded.version,
    fitted_at = excluded.fitted_at
where mirt_item_params.version is null or mirt_item_params.version not like 'online%%'
