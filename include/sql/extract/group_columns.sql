-- Purpose: whether the table of the groups can be read, before it is.
-- Grain:   one column that is needed: its name, whether it exists, whether this role may read it; and the role.
-- Parameters: group_table (schema-qualified or not), columns (a list of names).
select
    needed.name,
    a.attname is not null as exists,
    coalesce(has_column_privilege(a.attrelid, a.attnum, 'select'), false) as readable,
    current_user::text as role
from unnest(%(columns)s::text[]) as needed (name)
left join pg_attribute as a
    on a.attrelid = to_regclass(%(group_table)s::text) and a.attname = needed.name and a.attnum > 0
    and not a.attisdropped
order by needed.name
