-- Purpose: the bank's answers in the window, usable or not. The reader keeps one per user and item: sorting here would
--          be several times slower, and counting would need a second read of the view.
-- Grain:   one attempt.
-- Parameters: window_start, window_end (ISO 8601; the window is [start, end)); topics, exam_ids (lists; an empty one
--          does not filter). They are quoted into the text, because COPY takes no parameters, and so that PostgreSQL
--          plans for the actual window.
select a.student_id, a.item_id, a.correct, a.completed_at, a.id
from attempt as a
where a.completed_at >= %(window_start)s::timestamptz
    and a.completed_at < %(window_end)s::timestamptz
    and (%(topics)s::text[] = '{}' or a.topic_id = any(%(topics)s::text[]))
    and (
        %(exam_ids)s::int[] = '{}'
        or (
            a.session_id in (select e.session_id from exam_results as e where e.exam_id = any(%(exam_ids)s::int[]))
            -- An answer knows only its session, not its exam: skip sessions that another exam shares.
            and not exists (
                select 1
                from exam_results as other
                where other.session_id = a.session_id and other.exam_id = any(%(exam_ids)s::int[]) is not true
            )
        )
    )
