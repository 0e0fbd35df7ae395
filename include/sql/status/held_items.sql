-- Purpose: the items that each bank's last run holds, since when, and for how many nights.
-- Grain:   one held item; those that are held the longest first.
-- Parameters: none.
select bank, item_id, reason, since_run, since_night, nights, published_at
from irt.item_watch
order by bank, since_night, item_id
