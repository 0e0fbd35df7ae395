-- Purpose: exams of the window without a list of answers; answers.sql finds no answers in them.
-- Grain:   one number.
-- Parameters: exam_ids (a list; an empty one does not filter), window_start, window_end.
select count(*)
from exam_results as e
where jsonb_typeof(e.result_json -> 'questions') is distinct from 'array'
    and coalesce(e.updated_at, e.created_at) >= %(window_start)s::timestamptz
    and coalesce(e.updated_at, e.created_at) < %(window_end)s::timestamptz
    and (%(exam_ids)s::int[] = '{}' or e.exam_id = any(%(exam_ids)s::int[]))
