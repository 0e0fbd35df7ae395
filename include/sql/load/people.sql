-- Purpose: compare a load's abilities with those that its bank published before the run, and keep the figures with the
--          load. A second try replaces them. Rows of online updates are in no load.
-- Grain:   one row of irt.load_people; none if another load has replaced this one.
-- Parameters: load_id, run_key, people_moved_sd, levels (cut points, ascending).
with judged as materialized (
    -- Whoever replaces the load waits until its row is written, and then removes both.
    select load_id from irt.load where load_id = %(load_id)s for key share
),

earlier as materialized (
    select p.publication_id, p.load_id
    from irt.published_before as p
    where p.run_key = %(run_key)s
        -- The order makes it one look into the index, also for the many loads whose abilities were removed.
        and (select true from irt.load_ability as a where a.load_id = p.load_id order by a.load_id, a.user_id limit 1)
    order by p.publication_id desc
    limit 1
),

-- A full join, which never compares every pair: PostgreSQL has no statistics on a load that was just written, and would
-- take it for a few rows. Only finite values: a NaN would make every figure NaN.
users as materialized (
    select before.theta as before, now.theta as now
    from (
        select user_id, theta from irt.load_ability
        where load_id = (select load_id from earlier) and theta > '-infinity'::float8 and theta < 'infinity'::float8
    ) as before
    full join (
        select user_id, theta from irt.load_ability
        where load_id = %(load_id)s and theta > '-infinity'::float8 and theta < 'infinity'::float8
    ) as now on now.user_id = before.user_id
),

scale as materialized (
    select
        count(before) as users_before, count(now) as users_now, count(now - before) as users_both,
        avg(before) as mean_before, stddev_samp(before) as sd_before,
        avg(now) as mean_now, stddev_samp(now) as sd_now,
        -- Where they do not vary, there is no unit. Rounding may leave them an SD.
        case when min(before) < max(before) then stddev_samp(before) end as unit
    from users
),

-- Twice the mean rank: with ties, the mean of the first rank and the last.
ranked as (
    select
        now - before as change,
        rank() over by_before + count(*) over by_before as rank_before,
        rank() over by_now + count(*) over by_now as rank_now
    from users
    where now - before is not null
    window by_before as (order by before), by_now as (order by now)
),

summary as materialized (
    select
        avg(change) as mean_change,
        stddev_samp(change) as sd_change,
        sqrt(avg(change ^ 2)) as rmsd,
        percentile_cont(array[0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]) within group (order by change) as q,
        corr(rank_before, rank_now) as rank_correlation,
        count(*) filter (where abs(rank_now - rank_before) * 10 > 2 * users_both) as users_rank_moved,
        count(*) filter (where abs(change) > %(people_moved_sd)s::float8 * unit) as users_moved
    from ranked
    cross join scale
),

counted as materialized (
    select
        -- Limits that are smaller than the change: 4 minus those that are not.
        (sign(change) * (4 - width_bucket(-abs(change), array[-1, -0.5, -0.25, -0.1]::float8[])))::int as band,
        round(greatest(least(change, 2), -2) * 10)::int as bin,
        width_bucket(before, %(levels)s::float8[]) as level_before,
        width_bucket(now, %(levels)s::float8[]) as level_now,
        count(*) as n
    from (
        select before, now, (now - before) / unit as change
        from users
        cross join scale
        where now - before is not null
    ) as each
    group by band, bin, level_before, level_now
),

banded as (
    select json_agg(json_build_object('from', lower, 'to', upper, 'users', n) order by band) as body
    from (
        select b.band, b.lower, b.upper, coalesce(sum(c.n), 0) as n
        from (
            values (-4, null, -1), (-3, -1, -0.5), (-2, -0.5, -0.25), (-1, -0.25, -0.1), (0, -0.1, 0.1),
            (1, 0.1, 0.25), (2, 0.25, 0.5), (3, 0.5, 1), (4, 1, null)
        ) as b (band, lower, upper)
        left join counted as c on c.band = b.band
        group by b.band, b.lower, b.upper
    ) as each
),

binned as (
    select json_build_object('width', 0.1, 'users', json_agg(n order by bin)) as body
    from (
        select b.bin, coalesce(sum(c.n), 0) as n
        from generate_series(-20, 20) as b (bin)
        left join counted as c on c.bin = b.bin
        group by b.bin
    ) as each
),

levelled as (
    select
        json_build_object('cuts', %(levels)s::float8[], 'users', json_agg(users order by level_before)) as body,
        coalesce(sum(changed), 0) as users_level_changed
    from (
        select
            b.level_before,
            json_agg(coalesce(c.n, 0) order by n.level_now) as users,
            sum(c.n) filter (where n.level_now <> b.level_before) as changed
        from generate_series(0, cardinality(%(levels)s::float8[])) as b (level_before)
        cross join generate_series(0, cardinality(%(levels)s::float8[])) as n (level_now)
        left join (
            select level_before, level_now, sum(n) as n from counted group by level_before, level_now
        ) as c on c.level_before = b.level_before and c.level_now = n.level_now
        group by b.level_before
    ) as each
)

insert into irt.load_people as p (
    load_id, publication_id, users_before, users_now, users_both, mean_before, sd_before, mean_now, sd_now,
    mean_change, sd_change, rmsd, quantiles, bands, histogram, moved_limit, users_moved,
    rank_correlation, users_rank_moved, levels, users_level_changed
)
select
    judged.load_id, earlier.publication_id, users_before, users_now, users_both, mean_before, sd_before, mean_now,
    sd_now, mean_change, sd_change, rmsd,
    case when users_both > 0 then json_build_object(
        'p01', q[1], 'p05', q[2], 'p10', q[3], 'p25', q[4], 'p50', q[5], 'p75', q[6], 'p90', q[7], 'p95', q[8],
        'p99', q[9]
    ) end,
    case when users_both > 0 and unit > 0 then banded.body end,
    case when users_both > 0 and unit > 0 then binned.body end,
    %(people_moved_sd)s::float8 * unit,
    case when users_both > 0 and unit > 0 then users_moved end,
    rank_correlation,
    case when users_both > 0 then users_rank_moved end,
    case when users_both > 0 and cardinality(%(levels)s::float8[]) > 0 then levelled.body end,
    case when users_both > 0 and cardinality(%(levels)s::float8[]) > 0 then levelled.users_level_changed end
from judged
left join earlier on true
cross join scale
cross join summary
cross join banded
cross join binned
cross join levelled
on conflict (load_id) do update set
    publication_id = excluded.publication_id,
    users_before = excluded.users_before,
    users_now = excluded.users_now,
    users_both = excluded.users_both,
    mean_before = excluded.mean_before,
    sd_before = excluded.sd_before,
    mean_now = excluded.mean_now,
    sd_now = excluded.sd_now,
    mean_change = excluded.mean_change,
    sd_change = excluded.sd_change,
    rmsd = excluded.rmsd,
    quantiles = excluded.quantiles,
    bands = excluded.bands,
    histogram = excluded.histogram,
    moved_limit = excluded.moved_limit,
    users_moved = excluded.users_moved,
    rank_correlation = excluded.rank_correlation,
    users_rank_moved = excluded.users_rank_moved,
    levels = excluded.levels,
    users_level_changed = excluded.users_level_changed,
    compared_at = now()
-- The abilities of an old load are removed; its figures stay.
where excluded.users_now > 0 or p.users_now = 0
