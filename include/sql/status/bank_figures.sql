-- Purpose: the figures of banks that are exported as metrics (irt.metrics): how old what consumers read is, and what
--          the bank's last run came to.
-- Grain:   one bank; NULL for a figure that there is not, or not yet.
-- Parameters: banks (JSON array of names).
select
    wanted.bank,
    -- As in stale.sql: a return to an earlier run has the age of that run.
    extract(epoch from good.window_end)::float8 as calibrated_timestamp_seconds,
    case when last.state in ('rejected', 'accepted', 'published', 'superseded', 'skipped')
        then (last.state = 'rejected')::int end as rejected,
    size.items, size.held_items,
    (load.result ->> 'n_abilities')::bigint as users,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'slope')::float8 as slope,
    (load.result -> 'model_spec' -> 'linking_constants' ->> 'intercept')::float8 as intercept,
    verdict.checks_failed, verdict.checks_warned,
    run.timings as step_seconds,
    jsonb_build_object(
        'extract', run.counts -> 'responses',
        'calibrate', load.result -> 'model_spec' -> 'n_observations',
        'load', size.items + size.held_items + (load.result ->> 'n_abilities')::bigint,
        'check', verdict.checks,
        'publish', case when last.state = 'published' then size.items + (load.result ->> 'n_abilities')::bigint end
    ) as step_rows
from jsonb_array_elements_text(%(banks)s::jsonb) as wanted (bank)
left join irt.current_publication as current on current.bank = wanted.bank
left join irt.load as good on good.load_id = current.load_id
left join irt.last_run as last on last.bank = wanted.bank
left join irt.run as run on run.run_key = last.run_key
left join irt.load as load on load.load_id = last.load_id
left join lateral (
    select
        (select count(*) from irt.load_item as i where i.load_id = load.load_id) as items,
        (select count(*) from irt.load_held as h where h.load_id = load.load_id) as held_items
) as size on load.load_id is not null
left join lateral (
    select
        count(*) as checks,
        count(*) filter (where not c.passed and c.severity = 'fail') as checks_failed,
        count(*) filter (where not c.passed and c.severity = 'warn') as checks_warned
    from irt.load_check as c
    where c.load_id = load.load_id
) as verdict on load.judged_at is not null
order by wanted.bank
