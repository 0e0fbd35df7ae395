-- Purpose: the distribution of a load's abilities, and how precise they are.
-- Grain:   one band of 0.1 SD of the abilities; `mean` and `sd` are those of all.
-- Parameters: load_id.
with ability as materialized (
    select theta, se, n_responses from irt.load_ability where load_id = %(load_id)s and theta is not null
),

scale as (
    select avg(theta) as mean, nullif(stddev_pop(theta), 0) as sd, avg(n_responses)::float8 as answers from ability
)

select
    floor((ability.theta - scale.mean) / scale.sd * 10) / 10 as band, count(*) as users, avg(ability.se) as se,
    scale.mean, scale.sd, scale.answers
from ability cross join scale
group by floor((ability.theta - scale.mean) / scale.sd * 10), scale.mean, scale.sd, scale.answers
order by band
