-- Purpose: how many responses there would be without the limit; asked only when there is one.
-- Grain:   one row.
-- Parameters: those of set_window.sql, through irt_candidate (candidates.sql).
select count(*) as responses
from (
    select distinct student_id, item_id
    from irt_candidate
    where correct is not null and student_id is not null and item_id is not null
) as usable
