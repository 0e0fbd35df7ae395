-- Purpose: the bank's answers in the window, as attempts.sql reads them from the view, but from the exams themselves:
--          ids may be any text, and no cast can fail on a bad exam. Unreadable values become NULL.
-- Grain:   one element of result_json -> 'questions'; columns as in attempts.sql. An exam is a session, and its answers
--          are in the order in which they were given.
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
    e.id::text || ' ' || lpad(element.position::text, 6, '0') as id,
    least(greatest(coalesce(stated.ms, least(greatest(stated.seconds, -1), 86400) * 1000), -1), 86400000)::int
        as response_time_ms,
    coalesce(
        case lower(element.body ->> 'hint_used') when 'true' then true when 'false' then false end, stated.hints > 0
    ) as hint_used,
    least(greatest(stated.attempt_no, 0), 2147483647)::int as attempt_no,
    hashtextextended(e.id::text, 0) as session
from exam_results as e
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(e.result_json -> 'questions') = 'array' then e.result_json -> 'questions' else '[]' end
) with ordinality as element (body, position)
cross join lateral (
    select coalesce(irt.time_or_null(element.body ->> 'answered_at'), e.updated_at, e.created_at) as at
) as answered
-- Numbers, or text that looks like one; nearly all are numbers, which are read several times faster.
cross join lateral (
    select
        case when jsonb_typeof(element.body -> 'response_time_ms') = 'number'
                then (element.body -> 'response_time_ms')::numeric
            when element.body ->> 'response_time_ms' ~ '^-?\d{1,12}([.]\d{1,12})?$'
                then (element.body ->> 'response_time_ms')::numeric
        end as ms,
        case when jsonb_typeof(element.body -> 'time_spent_sec') = 'number'
                then (element.body -> 'time_spent_sec')::numeric
            when element.body ->> 'time_spent_sec' ~ '^-?\d{1,12}([.]\d{1,12})?$'
                then (element.body ->> 'time_spent_sec')::numeric
        end as seconds,
        case when jsonb_typeof(element.body -> 'used_hints') = 'number' then (element.body -> 'used_hints')::numeric
            when element.body ->> 'used_hints' ~ '^-?\d{1,12}$' then (element.body ->> 'used_hints')::numeric
        end as hints,
        case when jsonb_typeof(element.body -> 'attempt_no') = 'number' then (element.body -> 'attempt_no')::numeric
            when element.body ->> 'attempt_no' ~ '^-?\d{1,12}$' then (element.body ->> 'attempt_no')::numeric
        end as attempt_no
) as stated
-- An answer is never newer than its exam, so an index on updated_at can be used.
where coalesce(e.updated_at, e.created_at) >= %(window_start)s::timestamptz
    and answered.at >= %(window_start)s::timestamptz
    and answered.at < %(window_end)s::timestamptz
    and (
        %(topics)s::text[] = '{}'
        or coalesce(element.body ->> 'topic', element.body ->> 'topic_id') = any(%(topics)s::text[])
    )
    and (%(exam_ids)s::int[] = '{}' or e.exam_id = any(%(exam_ids)s::int[]))
