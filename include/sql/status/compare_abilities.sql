-- Purpose: how far apart two calibrations of a bank are, in their abilities.
-- Grain:   one row.
-- Parameters: as compare_items.sql.
with sides as (
    select 1 as side, user_id, theta from irt.run_ability where run_key = %(first)s
    union all
    select 2, user_id, theta from irt.run_ability where run_key = %(second)s
    union all
    select side, user_id, theta
    from mirt_ability
    cross join (values (1, %(first)s::text), (2, %(second)s::text)) as asked (side, run_key)
    where asked.run_key = 'published'
        and version not like 'online%%'
        and (%(bank)s::text is null or version = %(bank)s::text)
)

select
    'theta' as parameter,
    count(*) filter (where one.theta is not null and two.theta is not null) as in_both,
    count(*) filter (where two.theta is null) as only_first,
    count(*) filter (where one.theta is null) as only_second,
    corr(one.theta, two.theta) as correlation,
    avg(two.theta - one.theta) as mean_difference,
    sqrt(avg((two.theta - one.theta) ^ 2)) as rmse,
    max(abs(two.theta - one.theta)) as largest
from (select * from sides where side = 1) as one
full join (select * from sides where side = 2) as two using (user_id)
