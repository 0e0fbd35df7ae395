-- Purpose: what the rows that we published since the end of a window were stamped with; a newer row with another time
--          is an online update's.
-- Grain:   one list of times.
-- Parameters: since.
select coalesce(array_agg(stamp), '{}')
from irt.publication as p
cross join lateral (values (p.published_at), (p.default_stamped_at)) as stamps (stamp)
where stamp > %(since)s::timestamptz
