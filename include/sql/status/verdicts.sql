-- Purpose: what the checks said of one run, the worst first.
-- Grain:   one check of the run.
-- Parameters: run_key.
select run.state, run.settings, run.changed_at, c.check_name, c.severity, c.passed, c.finding
from irt.run as run
inner join irt.run_check as c on c.run_key = run.run_key
where run.run_key = %(run_key)s
order by c.passed, c.severity, c.check_name
