-- Purpose: what the columns of attempt are, to be compared with what the extraction reads: another type would end it in
--          the middle, or be read as something else (a text 'false' is not NULL, a time without zone is any moment).
-- Grain:   one column: its name and its type, without length; of a domain, the type below.
with recursive typed as (
    select attname, atttypid
    from pg_attribute
    where attrelid = to_regclass('attempt') and attnum > 0 and not attisdropped

    union all

    select typed.attname, pg_type.typbasetype
    from typed
    inner join pg_type on pg_type.oid = typed.atttypid
    where pg_type.typtype = 'd'
)

select typed.attname::text, format_type(typed.atttypid, null) as type
from typed
inner join pg_type on pg_type.oid = typed.atttypid
where pg_type.typtype <> 'd'
