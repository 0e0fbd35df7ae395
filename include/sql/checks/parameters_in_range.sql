-- Purpose: every a, b and c is a finite number within the bank's limits.
--          Held items are not published, and not judged.
-- Grain:   one row: passed, figure, threshold, finding (names the first item out of range).
-- Parameters: load_id, min_a, max_a, max_abs_b, max_c.
with judged as (
    select
        item_id, a, b, c,
        -- NaN compares greater than any number, so the upper limits catch it; coalesce catches NULL.
        coalesce(
            a >= %(min_a)s::float8 and a <= %(max_a)s::float8
            and b >= -%(max_abs_b)s::float8 and b <= %(max_abs_b)s::float8
            and (c is null or (c >= 0 and c <= %(max_c)s::float8)),
            false
        ) as good
    from irt.load_item
    where load_id = %(load_id)s
)

select
    count(*) filter (where not good) = 0 as passed,
    count(*) filter (where not good)::float8 as figure,
    '0 items' as threshold,
    format(
        '%%s of %%s items outside a %%s to %%s, |b| at most %%s, c 0 to %%s%%s',
        count(*) filter (where not good), count(*),
        %(min_a)s::text, %(max_a)s::text, %(max_abs_b)s::text, %(max_c)s::text,
        (
            select format('; first: item %%s, a %%s, b %%s%%s', w.item_id, w.a, w.b, ', c ' || w.c)
            from judged as w where not w.good order by w.item_id limit 1
        )
    ) as finding
from judged
