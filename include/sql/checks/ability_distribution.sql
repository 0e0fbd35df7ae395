-- Purpose: mean and standard deviation of the abilities are plausible on the reference scale.
-- Grain:   one row: passed, figure, threshold, finding.
-- Parameters: load_id, max_abs_theta_mean, min_theta_sd, max_theta_sd.
select
    coalesce(
        avg(theta) between -%(max_abs_theta_mean)s::float8 and %(max_abs_theta_mean)s::float8
        and stddev_samp(theta) between %(min_theta_sd)s::float8 and %(max_theta_sd)s::float8,
        false
    ) as passed,
    avg(theta) as figure,
    format('|mean| <= %%s, SD %%s to %%s', %(max_abs_theta_mean)s::text, %(min_theta_sd)s::text, %(max_theta_sd)s::text)
        as threshold,
    format(
        'mean %%s (at most %%s from 0), SD %%s (%%s to %%s), %%s abilities',
        round(avg(theta)::numeric, 3), %(max_abs_theta_mean)s::text,
        round(stddev_samp(theta)::numeric, 3), %(min_theta_sd)s::text, %(max_theta_sd)s::text, count(*)
    ) as finding
from irt.load_ability
-- Only finite values: a NaN would make every figure NaN, and numeric holds no infinity in older versions.
-- standard_errors.sql and the loader reject the others.
where load_id = %(load_id)s and theta > '-infinity'::float8 and theta < 'infinity'::float8
