-- Purpose: the rejected runs that a person may still publish.
-- Grain:   one run whose last load was rejected and not published, and no dry run; the newest first. The last 15.
-- Parameters: none.
select run.run_key, load.judged_at, load.window_end, load.result ->> 'n_items' as items,
    load.result ->> 'n_abilities' as users
from irt.run as run
inner join irt.load as load on load.load_id = run.load_id
where load.state = 'rejected'
    and not exists (select from irt.publication as p where p.load_id = load.load_id)
    and not coalesce((load.settings ->> 'dry_run')::boolean, false)
order by load.judged_at desc
limit 15
