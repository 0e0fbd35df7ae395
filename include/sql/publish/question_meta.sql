-- Purpose: write the parameters back into question.meta.irt, where later runs read seeds. Anchors stay unchanged,
--          because their values define the reference scale.
-- Grain:   one question.
-- Parameters: load_id, version.
update question as q
set
    meta = jsonb_set(
        coalesce(q.meta, '{}'), '{irt}',
        jsonb_strip_nulls(
            jsonb_build_object('a', i.a, 'b', i.b, 'c', i.c, 'model', i.model, 'version', %(version)s::text)
        )
    ),
    updated_at = now()
from irt.load_item as i
where i.load_id = %(load_id)s
    -- A meta that is not an object (a list, a number) is a mistake and has no place for the parameters.
    and jsonb_typeof(coalesce(q.meta, '{}')) = 'object'
    and q.id::text = i.item_id
    and not coalesce(q.meta -> 'tags' @> '"anchor"', false)
