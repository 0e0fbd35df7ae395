-- Purpose: the default bank's last publication.
-- Grain:   no row, or one.
-- Parameters: default_version.
select p.run_id, load.window_end
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.version = %(default_version)s
order by p.publication_id desc
limit 1
