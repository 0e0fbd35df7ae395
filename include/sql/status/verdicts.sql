-- Purpose: the verdicts of the checks on the last load of one run, the worst first.
-- Grain:   one check of the run.
-- Parameters: run_key.
select
    case when exists (select from irt.publication as p where p.load_id = load.load_id)
        then 'published' else load.state end as state,
    load.settings, load.judged_at, c.check_name, c.severity, c.passed, c.finding
from irt.run as run
inner join irt.load as load on load.load_id = run.load_id
inner join irt.load_check as c on c.load_id = load.load_id
where run.run_key = %(run_key)s
order by c.passed, c.severity, c.check_name
