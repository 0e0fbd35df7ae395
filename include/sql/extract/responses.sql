-- Purpose: the responses of a calibration: one answer of a user to an item, the first or the last of the window.
-- Grain:   one user and item.
-- Parameters: those of set_window.sql, through irt_candidate (candidates.sql). A limit keeps the most recent.
with usable as (
    select distinct on (student_id, item_id)
        student_id, item_id, correct, completed_at, id
    from irt_candidate
    where correct is not null and student_id is not null and item_id is not null
    order by
        student_id,
        item_id,
        case when current_setting('irt.attempt_policy') = 'first' then completed_at end asc,
        case when current_setting('irt.attempt_policy') = 'first' then id end asc,
        completed_at desc,
        id desc
)

select student_id::text as user_id, item_id::text as item_id, correct as is_correct
from usable
order by case when current_setting('irt.max_responses') <> '0' then completed_at end desc,
    case when current_setting('irt.max_responses') <> '0' then id end desc
limit nullif(current_setting('irt.max_responses')::bigint, 0)
