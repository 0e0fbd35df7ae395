-- Purpose: how far apart two calibrations of a bank are, in their items.
-- Grain:   one parameter (a, b, c).
-- Parameters: first, second (run keys; "published" is what consumers read), bank (version of the published rows, or
--          NULL).
with sides as (
    select 1 as side, item_id, a, b, c from irt.run_item where run_key = %(first)s
    union all
    select 2, item_id, a, b, c from irt.run_item where run_key = %(second)s
    union all
    select
        side, item_id,
        (params ->> 'a')::float8, (params ->> 'b')::float8, (params ->> 'c')::float8
    from mirt_item_params
    cross join (values (1, %(first)s::text), (2, %(second)s::text)) as asked (side, run_key)
    -- The old job's version belongs to no bank; NULL takes the rows of all versions.
    where asked.run_key = 'published' and (%(bank)s::text is null or version = %(bank)s::text)
),

paired as (
    select name, first_value, second_value
    from (select * from sides where side = 1) as one
    full join (select * from sides where side = 2) as two using (item_id)
    cross join lateral (values ('a', one.a, two.a), ('b', one.b, two.b), ('c', one.c, two.c)) as
        p (name, first_value, second_value)
)

select
    name as parameter,
    count(*) filter (where first_value is not null and second_value is not null) as in_both,
    count(*) filter (where first_value is not null and second_value is null) as only_first,
    count(*) filter (where first_value is null and second_value is not null) as only_second,
    corr(first_value, second_value) as correlation,
    avg(second_value - first_value) as mean_difference,
    sqrt(avg((second_value - first_value) ^ 2)) as rmse,
    max(abs(second_value - first_value)) as largest
from paired
group by name
having count(first_value) + count(second_value) > 0
order by name
