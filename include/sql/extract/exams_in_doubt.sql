-- Purpose: exams of the bank whose answers cannot be identified: they have no session, or share it with an exam that is
--          not the bank's. attempts.sql skips them.
-- Grain:   one number.
-- Parameters: exam_ids (integers); window_start, window_end.
select count(*)
from exam_results as e
where e.exam_id = any(%(exam_ids)s::int[])
    and e.updated_at >= %(window_start)s::timestamptz
    and e.updated_at < %(window_end)s::timestamptz
    and (
        e.session_id is null
        or exists (
            select 1
            from exam_results as other
            where other.session_id = e.session_id and other.exam_id = any(%(exam_ids)s::int[]) is not true
        )
    )
