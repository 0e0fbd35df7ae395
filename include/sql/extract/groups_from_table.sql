-- Purpose: the group of each user, from a table of the learning company. An id that is not a UUID is read in two ways:
--          as it is, and as the UUID that the production view `attempt` makes of it.
-- Grain:   one row of the table with a user and a group, and one way to read its id.
-- Parameters: group_table, user_column, group_column (identifiers).
select written.user_id, btrim(t.%(group_column)s::text) as group_id
from %(group_table)s as t
cross join lateral (
    select t.%(user_column)s::text ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$' as is_uuid
) as form
cross join lateral (
    select t.%(user_column)s::text::uuid::text as user_id
    where form.is_uuid

    union all

    select unnest(array[t.%(user_column)s::text, md5(t.%(user_column)s::text)::uuid::text])
    where not form.is_uuid
) as written
where nullif(btrim(t.%(user_column)s::text), '') is not null and nullif(btrim(t.%(group_column)s::text), '') is not null
