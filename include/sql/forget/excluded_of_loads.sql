-- Purpose: remove a person from irt.load's lists of users that a calibration excluded.
-- Grain:   one row that names the person.
-- Parameters: user_ids.
update irt.load
set result = jsonb_set(
    result, '{excluded,users}',
    (
        select coalesce(jsonb_agg(one), '[]')
        from jsonb_array_elements(result -> 'excluded' -> 'users') as one
        where one ->> 'user_id' <> all(%(user_ids)s)
    )
)
where jsonb_typeof(result -> 'excluded' -> 'users') = 'array'
    and exists (
        select
        from jsonb_array_elements(result -> 'excluded' -> 'users') as one
        where one ->> 'user_id' = any(%(user_ids)s)
    )
