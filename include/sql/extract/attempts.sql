-- Purpose: the bank's answers in the window, usable or not. The reader keeps one per user and item: sorting here would
--          be several times slower, and counting would need a second read of the view.
-- Grain:   one attempt. response_time_ms is -1 (unknown or negative) to a day, an unknown attempt_no is 0, and session
--          is a hash, which is shorter than an id.
-- Parameters: window_start, window_end (ISO 8601; the window is [start, end)); topics, exam_ids (lists; an empty one
--          does not filter); read_attempt_no (false: it is 0, see attempt_no_plan.sql). They are quoted into the text,
--          because COPY takes no parameters, and so that PostgreSQL plans for the actual window.
select
    answer.student_id, answer.item_id, answer.correct, answer.completed_at, answer.id,
    answer.response_time_ms, answer.hint_used, answer.attempt_no, answer.session
-- The view may lack these columns. Below, their names have no table: PostgreSQL looks for them in the view, then here.
from (select null::int as response_time_ms, null::boolean as hint_used, null::int as attempt_no) as lacking
cross join lateral (
    select
        a.student_id, a.item_id, a.correct, a.completed_at, a.id,
        least(greatest(response_time_ms, -1), 86400000)::int as response_time_ms,
        hint_used::boolean as hint_used,
        case when %(read_attempt_no)s::boolean then least(greatest(attempt_no, 0), 2147483647)::int else 0 end
            as attempt_no,
        hashtextextended(a.session_id::text, 0) as session
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
) as answer
