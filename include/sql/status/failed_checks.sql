-- Purpose: what did not pass in each bank's last run.
-- Grain:   one failed check or warning of a bank's last run.
-- Parameters: none.
select run.bank, run.run_key, run.state, c.check_name, c.severity, c.figure, c.threshold, c.finding
from irt.last_run as run
inner join irt.load_check as c on c.load_id = run.load_id and not c.passed
order by run.bank, c.severity, c.check_name
