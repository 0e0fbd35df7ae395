-- Purpose: the load that a run's report is about, and the digests of what it was calibrated from and of its abilities
--          (NULL: not known); held until the end of the transaction, so that none replaces it.
-- Grain:   at most one row: none if the run has no result.
-- Parameters: run_key.
select load.load_id, receipt.responses_sha256, receipt.abilities_sha256
from irt.run as run
inner join irt.load as load on load.load_id = run.load_id
left join irt.receipt as receipt on receipt.load_id = load.load_id
where run.run_key = %(run_key)s
for key share of load
