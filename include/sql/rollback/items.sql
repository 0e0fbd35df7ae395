-- Purpose: give every item of the bank the parameters it had once the run to return to was published: those of that run
--          or, for an item that it did not calibrate, of the last publication before it. An item that was calibrated
--          only later keeps its row, and so do rows of online updates.
-- Grain:   one item.
-- Parameters: bank, window_end.
insert into mirt_item_params (item_id, model, params, version, fitted_at)
select distinct on (i.item_id)
    i.item_id,
    i.model,
    jsonb_strip_nulls(
        jsonb_build_object('a', i.a, 'b', i.b, 'c', i.c, 'se_a', i.se_a, 'se_b', i.se_b, 'se_c', i.se_c)
    ),
    run.bank,
    run.window_end
from irt.run_item as i
inner join irt.run as run on run.run_key = i.run_key
inner join mirt_fit_meta as published on published.run_id = run.run_key
where run.bank = %(bank)s and run.window_end <= %(window_end)s::timestamptz
order by i.item_id, run.window_end desc
on conflict (item_id) do update set
    model = excluded.model,
    params = excluded.params,
    version = excluded.version,
    fitted_at = excluded.fitted_at
where mirt_item_params.version is null or mirt_item_params.version not like 'online%%'
