-- Purpose: the column types of attempt, to compare with those that the extraction needs: another type would make it
--          fail halfway, or be misread (a text 'false' is not NULL, a time without zone is ambiguous).
-- Grain:   one column: its name and its type, without length; for a domain, the base type.
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
