-- Purpose: the stamps of the rows that we published since the end of a window; a newer row with another time comes from
--          an online update.
-- Grain:   one list of times.
-- Parameters: since.
select coalesce(array_agg(stamp), '{}')
from irt.publication as p
cross join lateral (values (p.published_at), (p.default_stamped_at)) as stamps (stamp)
where stamp > %(since)s::timestamptz
