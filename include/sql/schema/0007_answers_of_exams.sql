-- Purpose: a time that an answer itself gives, or NULL where it is none. PostgreSQL before 16 cannot ask without trying.
-- Grain:   one function.
create or replace function irt.time_or_null(given text) returns timestamptz
language plpgsql stable parallel safe as $$
begin
    -- A date, not a word: 'now' and 'tomorrow' are valid times too.
    if given ~ '^\d{4}-\d\d-\d\d' then
        return given::timestamptz;
    end if;
    return null;
exception
    when data_exception then return null;
end
$$;

grant execute on function irt.time_or_null(text) to irt_pipeline;
