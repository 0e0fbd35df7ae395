-- Purpose: the distribution of a load's abilities, and how precise they are (irt.load_band).
-- Grain:   one band of 0.1 SD of the abilities; `mean` and `sd` are those of all.
-- Parameters: load_id.
select band, users, se, mean, sd
from irt.load_band
where load_id = %(load_id)s
order by band
