-- Purpose: the bank's answers in the window, usable or not.
-- Grain:   one attempt.
-- Parameters: those of set_window.sql.
-- Replaced, because behind a connection pooler the session may have one already.
create or replace temporary view irt_candidate as
select a.id, a.student_id, a.item_id, a.correct, a.completed_at
from attempt as a
where a.completed_at >= current_setting('irt.window_start')::timestamptz
    and a.completed_at < current_setting('irt.window_end')::timestamptz
    and (
        current_setting('irt.topics') = '[]'
        or a.topic_id in (select jsonb_array_elements_text(current_setting('irt.topics')::jsonb))
    )
    and (
        current_setting('irt.exam_ids') = '[]'
        or a.session_id in (
            select e.session_id
            from exam_results as e
            where e.exam_id in (select value::int from jsonb_array_elements_text(current_setting('irt.exam_ids')::jsonb))
        )
    )
