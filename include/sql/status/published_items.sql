-- Purpose: the item parameters as consumers read them.
-- Grain:   one item.
-- Parameters: none.
select item_id, version, (params ->> 'a')::float8 as a, (params ->> 'b')::float8 as b
from mirt_item_params
order by item_id
