-- Purpose: no group's mean ability has moved since the last publication by more than a limit and more than twice its
--          noise. It moves with its members: they learn, or are others (a new school year, another exam).
-- Grain:   one row: passed, figure (the largest shift), threshold, finding.
-- Parameters: load_id, previous_load_id and previous_run_key (NULL: nothing is published yet), max_group_shift.
with grouped as (
    select
        l.load_id,
        g.body ->> 'group' as name,
        (g.body ->> 'mean')::float8 as mean,
        coalesce((g.body ->> 'se_mean')::float8, 0) as se
    from irt.load as l
    cross join jsonb_array_elements(coalesce(l.result -> 'model_spec' -> 'latent' -> 'groups', '[]')) as g (body)
    where l.load_id in (%(load_id)s, %(previous_load_id)s::bigint)
),

shifted as (
    select
        now.name,
        now.mean - before.mean as shift,
        2 * sqrt(now.se ^ 2 + before.se ^ 2) as noise
    from grouped as now
    inner join grouped as before on before.name = now.name and before.load_id = %(previous_load_id)s::bigint
    where now.load_id = %(load_id)s
),

largest as (
    select * from shifted
    order by abs(shift) > noise desc, abs(shift) desc, name
    limit 1
)

select
    coalesce(
        (select bool_and(abs(shift) <= %(max_group_shift)s::float8 or abs(shift) <= noise) from shifted), true
    ) as passed,
    (select shift from largest) as figure,
    format('|shift| <= %%s', %(max_group_shift)s::text) as threshold,
    coalesce(
        (
            select
                format(
                    'group %%s: mean shifted by %%s since run %%s (noise %%s), at most %%s; %%s groups in common',
                    name, round(shift::numeric, 4), %(previous_run_key)s::text, round(noise::numeric, 4),
                    %(max_group_shift)s::text, (select count(*) from shifted)
                )
            from largest
        ),
        'no group in common with a publication: nothing to judge'
    ) as finding
