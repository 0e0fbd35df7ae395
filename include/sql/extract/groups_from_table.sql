-- Purpose: the group of each user as a table of the learning company has it. A user id that is no UUID becomes the one
--          that the view `attempt` makes of it.
-- Grain:   one row of the table with a user and a group.
-- Parameters: group_table, user_column, group_column (identifiers).
select
    case
        when t.%(user_column)s::text ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$'
            then t.%(user_column)s::text::uuid::text
        else md5(t.%(user_column)s::text)::uuid::text
    end as user_id,
    btrim(t.%(group_column)s::text) as group_id
from %(group_table)s as t
where nullif(btrim(t.%(user_column)s::text), '') is not null and nullif(btrim(t.%(group_column)s::text), '') is not null
