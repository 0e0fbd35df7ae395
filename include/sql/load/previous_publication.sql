-- Purpose: what consumers read before this run; the checks of changes compare with it.
-- Grain:   no row, or the last publication of another run before this run's first one.
-- Parameters: run_key.
select p.load_id, load.run_key
from irt.published_before as p
inner join irt.load as load on load.load_id = p.load_id
where p.run_key = %(run_key)s
order by p.publication_id desc
limit 1
