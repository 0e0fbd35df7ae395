-- Purpose: the anchors that link the scale have the difficulties that question.meta states; if the parameters belong to
--          other items, the linking is wrong for all. Also judges services that do not check this themselves.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, min_anchor_correlation.
with stated as materialized (
    -- A number, also as text, that float8 can hold; anything else is no parameter.
    select
        q.id::text as item_id,
        case when q.meta -> 'irt' ->> 'a' ~ '^[-+]?[0-9]{0,30}[.]?[0-9]{1,30}([eE][-+]?[0-9]{1,2})?$'
            then (q.meta -> 'irt' ->> 'a')::float8 end as a,
        case when q.meta -> 'irt' ->> 'b' ~ '^[-+]?[0-9]{0,30}[.]?[0-9]{1,30}([eE][-+]?[0-9]{1,2})?$'
            then (q.meta -> 'irt' ->> 'b')::float8 end as b
    from question as q
    where q.meta -> 'tags' @> '"anchor"'
),

-- One look into the index per anchor. PostgreSQL has no statistics on a load that was just written: it would take it
-- for one row, and read all questions again for each of its items.
compared as (
    select i.a, i.b, s.a as a_ref, s.b as b_ref
    from stated as s
    cross join lateral (
        select own.a, own.b, own.anchor from irt.load_item as own
        where own.load_id = %(load_id)s and own.item_id = s.item_id
        limit 1
    ) as i
    where i.anchor is distinct from 'drifted'
        and s.a is not null
        and s.b is not null
),

figures as (
    select
        count(*) as anchors,
        corr(b, b_ref) as of_b,
        corr(ln(a), ln(a_ref)) filter (where a > 0 and a_ref > 0) as of_log_a,
        -- A few anchors, or equal difficulties, have no order that could be wrong.
        count(*) >= 5 and coalesce(stddev_pop(b_ref), 0) >= 0.25 as can_be_judged
    from compared
),

linking as (
    select coalesce(settings -> 'linking' ->> 'method', '') as method
    from irt.load
    where load_id = %(load_id)s
)

select
    l.method = 'none' or not f.can_be_judged or coalesce(f.of_b >= %(min_anchor_correlation)s::float8, false) as passed,
    f.of_b as figure,
    format('>= %%s', %(min_anchor_correlation)s::text) as threshold,
    case when l.method = 'none' then 'linking method none: nothing to judge'
        when not f.can_be_judged then format('%%s anchors, or their difficulties are too alike to judge', f.anchors)
        else format(
            '%%s anchors: b correlates with question.meta by %%s (log a by %%s), at least %%s',
            f.anchors, round(f.of_b::numeric, 4), coalesce(round(f.of_log_a::numeric, 4)::text, 'none'),
            %(min_anchor_correlation)s::text
        ) end as finding
from figures as f
cross join linking as l
