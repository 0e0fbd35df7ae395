-- Purpose: the bank's answers in the window, read from the exams themselves: what attempts.sql reads from the view,
--          with ids of any text and without a cast that one bad exam could break. What cannot be read becomes NULL.
-- Grain:   one element of result_json -> 'questions'.
-- Parameters: as attempts.sql.
select
    case
        when e.user_id ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$' then e.user_id::uuid
        when nullif(btrim(e.user_id), '') is not null then md5(e.user_id)::uuid
    end as student_id,
    nullif(btrim(element.body ->> 'question_id'), '') as item_id,
    case lower(coalesce(element.body ->> 'is_correct', element.body ->> 'correct'))
        when 'true' then true when 'false' then false
    end as correct,
    answered.at as completed_at,
    e.id::text || ' ' || lpad(element.position::text, 6, '0') as id
from exam_results as e
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(e.result_json -> 'questions') = 'array' then e.result_json -> 'questions' else '[]' end
) with ordinality as element (body, position)
cross join lateral (
    select coalesce(irt.time_or_null(element.body ->> 'answered_at'), e.updated_at, e.created_at) as at
) as answered
-- An answer is not newer than the exam that it stands in, so that an index on updated_at can be used.
where coalesce(e.updated_at, e.created_at) >= %(window_start)s::timestamptz
    and answered.at >= %(window_start)s::timestamptz
    and answered.at < %(window_end)s::timestamptz
    and (
        %(topics)s::text[] = '{}'
        or coalesce(element.body ->> 'topic', element.body ->> 'topic_id') = any(%(topics)s::text[])
    )
    and (%(exam_ids)s::int[] = '{}' or e.exam_id = any(%(exam_ids)s::int[]))
