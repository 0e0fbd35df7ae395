-- Purpose: whose linking constants a reader finds that takes the newest row.
-- Grain:   no row, or the newest of mirt_fit_meta, where the default bank has been published and it is not of that
--          bank.
-- Parameters: default_version.
select f.run_id, f.model_spec ->> 'version' as version
from mirt_fit_meta as f
where f.fitted_at = (select max(newest.fitted_at) from mirt_fit_meta as newest)
    and f.model_spec ->> 'version' is distinct from %(default_version)s
    and exists (select from irt.publication as p where p.version = %(default_version)s)
limit 1
