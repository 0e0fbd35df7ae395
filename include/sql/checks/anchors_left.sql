-- Purpose: the screening for drift kept most anchors in the linking; otherwise the scale rests on few.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, min_anchor_share.
with linking as (
    select
        coalesce((result ->> 'n_anchors_sent')::int, 0) as sent,
        (result -> 'model_spec' -> 'linking_constants' ->> 'n_anchors_used')::int as used,
        coalesce(jsonb_typeof(result -> 'model_spec' -> 'linking_constants') = 'object', false) as stated,
        coalesce(settings -> 'linking' ->> 'method', '') as method
    from irt.load
    where load_id = %(load_id)s
)

select
    -- NULL if the service does not state how many anchors it used.
    case when method <> 'none' and stated and used is null then null
        else method = 'none' or coalesce(used >= %(min_anchor_share)s::float8 * sent, false) end as passed,
    used::float8 / nullif(sent, 0) as figure,
    format('>= %%s', %(min_anchor_share)s::text) as threshold,
    case when method = 'none' then 'linking method none: nothing to judge'
        else format(
            '%%s of %%s anchors left for the linking, at least %%s %%%% needed',
            coalesce(used::text, case when stated then 'not stated how many' else 'none' end), sent,
            round(%(min_anchor_share)s::numeric * 100, 1)
        ) end as finding
from linking
