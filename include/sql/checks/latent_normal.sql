-- Purpose: abilities that are taken as normal are: neither much skewed nor with two humps. Otherwise difficulties and
--          the abilities at the ends are biased.
-- Grain:   one row: passed, figure (the largest absolute skewness), threshold, finding (names the group).
-- Parameters: load_id, max_abs_skewness, max_abs_kurtosis.
with latent as (
    select l.result -> 'model_spec' -> 'latent' as body
    from irt.load as l
    where l.load_id = %(load_id)s
),

tested as (
    select
        each.body ->> 'group' as name,
        (each.body -> 'normality' ->> 'skewness')::float8 as skewness,
        (each.body -> 'normality' ->> 'kurtosis')::float8 as kurtosis,
        (each.body -> 'normality' ->> 'p')::float8 as p
    from latent
    cross join jsonb_array_elements(coalesce(latent.body -> 'groups', jsonb_build_array(latent.body))) as each (body)
    where each.body -> 'normality' ->> 'p' is not null
),

judged as (
    select
        *,
        -- What chance explains is no shape, and in a large bank no small deviation is chance.
        p > 0.01 or (
            abs(skewness) <= %(max_abs_skewness)s::float8 and abs(kurtosis) <= %(max_abs_kurtosis)s::float8
        ) as is_normal
    from tested
),

farthest as (
    select * from judged
    order by is_normal, abs(skewness) desc, name
    limit 1
)

select
    coalesce((select bool_and(is_normal) from judged), true) as passed,
    (select max(abs(skewness)) from judged) as figure,
    format('|skewness| <= %%s, |kurtosis| <= %%s', %(max_abs_skewness)s::text, %(max_abs_kurtosis)s::text) as threshold,
    coalesce(
        (
            select
                format(
                    'abilities%%s: skewness %%s, excess kurtosis %%s, p %%s%%s',
                    ' of group ' || name, round(skewness::numeric, 2), round(kurtosis::numeric, 2),
                    round(p::numeric, 4),
                    case when not is_normal
                            then '; the normal distribution does not fit, latent: davidian estimates the shape'
                    end
                )
            from farthest
        ),
        'the service did not test it: nothing to judge'
    ) as finding
