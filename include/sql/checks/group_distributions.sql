-- Purpose: mean and SD of each group's abilities are plausible on the scale of the anchors.
-- Grain:   one row: passed, figure (the largest absolute mean), threshold, finding (names the group that is farthest).
-- Parameters: load_id, max_abs_group_mean, min_theta_sd, max_theta_sd.
with grouped as (
    select
        g.body ->> 'group' as name,
        (g.body ->> 'mean')::float8 as mean,
        (g.body ->> 'sd')::float8 as sd,
        (g.body ->> 'n_users')::bigint as users
    from irt.load as l
    cross join jsonb_array_elements(coalesce(l.result -> 'model_spec' -> 'latent' -> 'groups', '[]')) as g (body)
    where l.load_id = %(load_id)s
),

judged as (
    select
        *,
        coalesce(
            abs(mean) <= %(max_abs_group_mean)s::float8
            and sd between %(min_theta_sd)s::float8 and %(max_theta_sd)s::float8,
            false
        ) as plausible
    from grouped
),

worst as (
    select * from judged
    order by plausible, abs(mean) desc, name
    limit 1
)

select
    coalesce((select bool_and(plausible) from judged), true) as passed,
    (select max(abs(mean)) from judged) as figure,
    format(
        '|mean| <= %%s, SD %%s to %%s', %(max_abs_group_mean)s::text, %(min_theta_sd)s::text, %(max_theta_sd)s::text
    ) as threshold,
    coalesce(
        (
            select
                format(
                    '%%s of %%s groups are plausible; %%s %%s has mean %%s, SD %%s and %%s users',
                    (select count(*) filter (where plausible) from judged), (select count(*) from judged),
                    case when plausible then 'the farthest,' else 'the first that is not,' end,
                    name, round(mean::numeric, 3), round(sd::numeric, 3), users
                )
            from worst
        ),
        'the bank has no groups: nothing to judge'
    ) as finding
