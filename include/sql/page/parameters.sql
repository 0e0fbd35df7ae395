-- Purpose: the parameters of all items that a load publishes, for what they tell together.
-- Grain:   one item that is not held.
-- Parameters: load_id.
select a, b, c
from irt.load_item
where load_id = %(load_id)s and a is not null and b is not null
order by item_id
