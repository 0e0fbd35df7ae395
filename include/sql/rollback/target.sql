-- Purpose: the run to return to: it must be the bank's, and have been published.
-- Grain:   no row, or one.
-- Parameters: run_key, bank.
select
    run.state,
    run.window_end,
    run.settings ->> 'model' as model,
    exists (select 1 from mirt_fit_meta as f where f.run_id = run.run_key) as was_published,
    (select count(*) from irt.run_item as i where i.run_key = run.run_key) as items,
    (select count(*) from irt.run_ability as p where p.run_key = run.run_key) as abilities,
    (run.result ->> 'n_abilities')::bigint as abilities_then
from irt.run as run
where run.run_key = %(run_key)s and run.bank = %(bank)s
for update of run
