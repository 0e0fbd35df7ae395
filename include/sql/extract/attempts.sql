-- Purpose: the bank's answers in the window, usable or not. One of a user to an item is kept by who reads them: sorted
--          here they would come several times slower, and be read from the view twice to be counted.
-- Grain:   one attempt.
-- Parameters: those of set_window.sql. Each in a subquery of its own: PostgreSQL reads it once, and not for every row.
select a.student_id, a.item_id, a.correct, a.completed_at, a.id
from attempt as a
where a.completed_at >= (select current_setting('irt.window_start')::timestamptz)
    and a.completed_at < (select current_setting('irt.window_end')::timestamptz)
    and (
        (select current_setting('irt.topics') = '[]')
        or a.topic_id in (select jsonb_array_elements_text(current_setting('irt.topics')::jsonb))
    )
    and (
        (select current_setting('irt.exam_ids') = '[]')
        or a.session_id in (
            select e.session_id
            from exam_results as e
            where e.exam_id in (select value::int from jsonb_array_elements_text(current_setting('irt.exam_ids')::jsonb))
        )
    )
