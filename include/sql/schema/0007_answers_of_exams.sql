-- Purpose: turn the text that an answer gives as its time into a timestamp, or NULL where it is not one. Before version 16
--          PostgreSQL can only try, and catch the error.
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
