-- Purpose: what did not pass in each bank's last run.
-- Grain:   one failed check or warning of a bank's last run.
-- Parameters: none.
select run.bank, run.run_key, run.state, c.check_name, c.severity, c.figure, c.threshold, c.finding
from (select distinct on (bank) * from irt.run order by bank, window_end desc, registered_at desc) as run
inner join irt.load_check as c on c.load_id = run.load_id and not c.passed
order by run.bank, c.severity, c.check_name
