-- Purpose: the last publication under the default bank's version. Not irt.current_publication: a bank that publishes
--          under another version since then leaves its rows, which stay the newest until the default bank's next night.
-- Grain:   no row, or one.
-- Parameters: default_version.
select p.run_id, load.window_end
from irt.publication as p
inner join irt.load as load on load.load_id = p.load_id
where p.version = %(default_version)s
order by p.publication_id desc
limit 1
