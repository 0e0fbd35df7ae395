-- Purpose: the anchors and seeds in question.meta among the answered items: anchors (tagged "anchor") define the
--          reference scale, seeds (not tagged) are starting values.
-- Grain:   one of these questions that is tagged as an anchor or has meta.irt.
-- Parameters: items (JSON array of ids).
select
    q.id::text as item_id,
    coalesce(q.meta -> 'tags' @> '"anchor"', false) as is_anchor,
    coalesce(jsonb_typeof(q.meta -> 'irt') = 'object', false) as has_params,
    q.meta -> 'irt' ->> 'a' as a,
    q.meta -> 'irt' ->> 'b' as b,
    q.meta -> 'irt' ->> 'c' as c
from question as q
where q.id::text in (select jsonb_array_elements_text(%(items)s::jsonb))
    and (jsonb_typeof(q.meta -> 'irt') = 'object' or q.meta -> 'tags' @> '"anchor"')
order by q.id
