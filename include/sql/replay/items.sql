-- Purpose: the estimates of a load's items, held ones included.
-- Grain:   one item.
-- Parameters: load_id.
select item_id, a, b, c, se_a, se_b, se_c from irt.load_item where load_id = %(load_id)s
union all
select item_id, a, b, c, se_a, se_b, se_c from irt.load_held where load_id = %(load_id)s
