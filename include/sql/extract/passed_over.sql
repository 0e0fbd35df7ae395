-- Purpose: answers of the window that no bank takes: without a topic, without an exam's id, or of topics and exams that
--          no bank names. From the exams themselves, so that it does not matter which banks read the view.
-- Grain:   one row: answers; those without topic, without an exam's id, and that no bank takes.
-- Parameters: window_start, window_end, banks (JSON array: {topics, exams} of each bank; both empty take everything).
with taken as (
    select
        array(select jsonb_array_elements_text(bank -> 'topics')) as topics,
        array(select jsonb_array_elements_text(bank -> 'exams')::int) as exams
    from jsonb_array_elements(%(banks)s::jsonb) as bank
),

answers as (
    select coalesce(element.body ->> 'topic', element.body ->> 'topic_id') as topic, e.exam_id, count(*) as n
    from exam_results as e
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(e.result_json -> 'questions') = 'array' then e.result_json -> 'questions' else '[]' end
    ) as element (body)
    where coalesce(e.updated_at, e.created_at) >= %(window_start)s::timestamptz
        and coalesce(irt.time_or_null(element.body ->> 'answered_at'), e.updated_at, e.created_at)
        between %(window_start)s::timestamptz and %(window_end)s::timestamptz - interval '1 microsecond'
    group by 1, 2
)

select
    coalesce(sum(n), 0)::bigint as answers,
    coalesce(sum(n) filter (where topic is null), 0)::bigint as without_topic,
    coalesce(sum(n) filter (where exam_id is null), 0)::bigint as without_exam,
    coalesce(sum(n) filter (where not exists (
        select
        from taken as t
        where (t.topics = '{}' or answers.topic = any(t.topics))
            and (t.exams = '{}' or answers.exam_id = any(t.exams))
    )), 0)::bigint as passed_over
from answers
