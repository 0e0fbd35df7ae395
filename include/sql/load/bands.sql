-- Purpose: keep the distribution of a load's abilities with the load, for the page: a million abilities are not counted
--          again for each view. A second try replaces it; the abilities of an old load are removed, its bands stay.
-- Grain:   one band of 0.1 SD of the abilities.
-- Parameters: load_id.
with judged as materialized (
    select load_id from irt.load where load_id = %(load_id)s for key share
),

ability as materialized (
    select theta, se from irt.load_ability
    where load_id = %(load_id)s and theta > '-infinity'::float8 and theta < 'infinity'::float8
),

scale as materialized (
    select avg(theta) as mean, case when min(theta) < max(theta) then stddev_samp(theta) end as sd from ability
),

band as (
    select floor((ability.theta - scale.mean) / scale.sd * 10)::int as number, count(*) as users, avg(ability.se) as se
    from ability cross join scale
    where scale.sd > 0
    group by floor((ability.theta - scale.mean) / scale.sd * 10)::int
),

outdated as (
    delete from irt.load_band as b using judged
    where b.load_id = judged.load_id
        and exists (select from band) and not exists (select from band where band.number = b.number)
)

insert into irt.load_band as b (load_id, number, band, users, se, mean, sd)
select judged.load_id, band.number, band.number / 10.0, band.users, band.se, scale.mean, scale.sd
from judged cross join band cross join scale
on conflict (load_id, number) do update set
    band = excluded.band, users = excluded.users, se = excluded.se, mean = excluded.mean, sd = excluded.sd
