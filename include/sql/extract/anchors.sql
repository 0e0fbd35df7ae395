-- Purpose: the items of question.meta whose parameters are known: anchors (tagged "anchor"; they define the reference
--          scale) and seeds (not tagged; starting values).
-- Grain:   one question with meta.irt; the request takes those that the window has answers to.
-- Parameters: topics (JSON array, an empty one is no filter).
select
    q.id::text as item_id,
    coalesce(q.meta -> 'tags' @> '"anchor"', false) as is_anchor,
    q.meta -> 'irt' ->> 'a' as a,
    q.meta -> 'irt' ->> 'b' as b,
    q.meta -> 'irt' ->> 'c' as c
from question as q
where jsonb_typeof(q.meta -> 'irt') = 'object'
    and (
        %(topics)s::jsonb = '[]'
        or q.topic_id in (select jsonb_array_elements_text(%(topics)s::jsonb))
    )
order by q.id
