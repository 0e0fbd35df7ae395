-- Purpose: the anchors of a load as they were linked: new and reference parameters, and whether they were used.
-- Grain:   one anchor.
-- Parameters: load_id.
select
    anchor.body ->> 'item_id' as item_id, (anchor.body ->> 'used')::boolean as used, anchor.body ->> 'reason' as reason,
    anchor.body as linking,
    i.a, i.b, i.se_a, i.se_b, q.meta -> 'irt' as reference
from irt.load as load
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(load.result -> 'model_spec' -> 'linking_anchors') = 'array'
        then load.result -> 'model_spec' -> 'linking_anchors' else '[]' end
) as anchor (body)
left join irt.load_item as i on i.load_id = load.load_id and i.item_id = anchor.body ->> 'item_id'
left join question as q on q.id::text = anchor.body ->> 'item_id'
where load.load_id = %(load_id)s
order by anchor.body ->> 'item_id'
