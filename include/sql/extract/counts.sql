-- Purpose: how many answers the window holds, and how many are left out for which reason (each counted once, in this
--          order). Runs in the transaction of responses.sql, so both see the same rows.
-- Grain:   one row.
-- Parameters: those of set_window.sql, through irt_candidate (candidates.sql).
select
    count(*) as attempts,
    count(*) filter (where student_id is null) as no_user,
    count(*) filter (where student_id is not null and item_id is null) as no_item,
    count(*) filter (where student_id is not null and item_id is not null and correct is null) as no_correctness,
    to_char(
        max(completed_at) filter (where student_id is not null and item_id is not null and correct is not null)
            at time zone 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS"Z"'
    ) as last_answer_at
from irt_candidate
