-- Purpose: a linked bank is on the scale of its anchors: a positive finite slope, a finite intercept, and enough
--          anchors used. With linking method none there is nothing to judge.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, min_anchors.
with linking as (
    select
        coalesce((result ->> 'n_anchors_sent')::int, 0) as anchors,
        coalesce(settings -> 'linking' ->> 'method', '') as method,
        result -> 'model_spec' -> 'linking_constants' as constants
    from irt.load
    where load_id = %(load_id)s
)

select
    method = 'none' or coalesce(
        (constants ->> 'slope')::float8 > 0
        and (constants ->> 'slope')::float8 < 'infinity'::float8
        and abs((constants ->> 'intercept')::float8) < 'infinity'::float8
        and (constants ->> 'n_anchors_used')::int >= %(min_anchors)s::int,
        -- NULL if the service states the constants but not the number of anchors.
        case when constants ->> 'slope' is null or constants ->> 'n_anchors_used' is not null then false end
    ) as passed,
    (constants ->> 'n_anchors_used')::float8 as figure,
    format('>= %%s anchors, slope > 0', %(min_anchors)s::text) as threshold,
    case when method = 'none' then 'linking method none: nothing to judge'
        else format(
            'slope %%s, intercept %%s, %%s of %%s anchors used, at least %%s needed',
            coalesce(constants ->> 'slope', 'missing'), coalesce(constants ->> 'intercept', 'missing'),
            coalesce(
                constants ->> 'n_anchors_used',
                case when constants ->> 'slope' is null then 'missing' else 'not stated how many' end
            ),
            anchors, %(min_anchors)s::text
        ) end as finding
from linking
