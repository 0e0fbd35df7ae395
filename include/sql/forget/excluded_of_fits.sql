-- Purpose: remove a person from mirt_fit_meta's lists of users that a calibration excluded.
-- Grain:   one row that names the person.
-- Parameters: user_ids.
update mirt_fit_meta
set model_spec = jsonb_set(
    model_spec, '{excluded,users}',
    (
        select coalesce(jsonb_agg(one), '[]')
        from jsonb_array_elements(model_spec -> 'excluded' -> 'users') as one
        where one ->> 'user_id' <> all(%(user_ids)s)
    )
)
where jsonb_typeof(model_spec -> 'excluded' -> 'users') = 'array'
    and exists (
        select
        from jsonb_array_elements(model_spec -> 'excluded' -> 'users') as one
        where one ->> 'user_id' = any(%(user_ids)s)
    )
