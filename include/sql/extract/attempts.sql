-- Purpose: the bank's answers in the window, usable or not. One of a user to an item is kept by who reads them: sorted
--          here they would come several times slower, and be read from the view twice to be counted.
-- Grain:   one attempt.
-- Parameters: window_start, window_end (ISO 8601; the window is [start, end)); topics, exam_ids (lists; an empty one is
--          no filter). They are written into the text, quoted: COPY takes no parameters, and with the values before it
--          PostgreSQL plans for the window as it is.
select a.student_id, a.item_id, a.correct, a.completed_at, a.id
from attempt as a
where a.completed_at >= %(window_start)s::timestamptz
    and a.completed_at < %(window_end)s::timestamptz
    and (%(topics)s::text[] = '{}' or a.topic_id = any(%(topics)s::text[]))
    and (
        %(exam_ids)s::int[] = '{}'
        or (
            a.session_id in (select e.session_id from exam_results as e where e.exam_id = any(%(exam_ids)s::int[]))
            -- A session is all that an answer has of its exam: where another exam has it too, nobody knows whose it is.
            and not exists (
                select 1
                from exam_results as other
                where other.session_id = a.session_id and other.exam_id = any(%(exam_ids)s::int[]) is not true
            )
        )
    )
