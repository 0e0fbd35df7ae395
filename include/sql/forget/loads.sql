-- Purpose: remove a person's abilities from all loads, and count them in the load as forgotten.
-- Grain:   one load that had any.
-- Parameters: user_ids.
with gone as (
    delete from irt.load_ability where user_id = any(%(user_ids)s) returning load_id
),

counted as (
    select load_id, count(*) as n from gone group by load_id
)

update irt.load as load
set forgotten = load.forgotten + counted.n
from counted
where counted.load_id = load.load_id
