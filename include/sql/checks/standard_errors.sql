-- Purpose: every standard error is a positive finite number. A fixed anchor, the slope of a Rasch item, and a parameter
--          that the model does not have need none.
--          Held items are not published, and not judged.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id.
with judged as (
    select
        item_id,
        coalesce(se_a, se_b, se_c) as se,
        coalesce(anchor = 'fixed', false) or (
            coalesce(se_b > 0 and se_b < 'infinity'::float8, false)
            and (model = 'Rasch' or coalesce(se_a > 0 and se_a < 'infinity'::float8, false))
            and (c is null or coalesce(se_c > 0 and se_c < 'infinity'::float8, false))
        ) as good
    from irt.load_item
    where load_id = %(load_id)s
),

-- Materialized: without statistics PostgreSQL would count again for every item.
abilities as materialized (
    select count(*) as n, count(*) filter (where coalesce(se > 0 and se < 'infinity'::float8, false)) as good
    from irt.load_ability
    where load_id = %(load_id)s
)

select
    -- NULL if the service states none for the items.
    case when count(judged.se) > 0 or count(*) filter (where judged.good) = count(*)
        then count(*) filter (where not judged.good) = 0 and min(abilities.good) = min(abilities.n) end as passed,
    (count(*) filter (where not judged.good) + min(abilities.n) - min(abilities.good))::float8 as figure,
    '0 items and abilities' as threshold,
    case when count(judged.se) = 0 then 'standard errors of items not stated: ' else '' end || format(
        '%%s of %%s items and %%s of %%s abilities without a positive standard error%%s',
        count(*) filter (where not judged.good), count(*), min(abilities.n) - min(abilities.good), min(abilities.n),
        '; first item: ' || min(judged.item_id) filter (where not judged.good)
    ) as finding
from judged
cross join abilities
