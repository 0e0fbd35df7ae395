-- Purpose: as groups_from_view.sql, from the exams themselves.
-- Grain:   one user with answers in the window.
-- Parameters: as attempts.sql; by (exam or topic).
select distinct on (who.user_id)
    who.user_id,
    case %(by)s::text
        when 'exam' then e.exam_id::text
        else nullif(btrim(coalesce(element.body ->> 'topic', element.body ->> 'topic_id')), '')
    end as group_id
from exam_results as e
cross join lateral (
    select
        case
            when e.user_id ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$' then e.user_id::uuid::text
            when nullif(btrim(e.user_id), '') is not null then md5(e.user_id)::uuid::text
        end as user_id
) as who
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(e.result_json -> 'questions') = 'array' then e.result_json -> 'questions' else '[]' end
) with ordinality as element (body, position)
cross join lateral (
    select coalesce(irt.time_or_null(element.body ->> 'answered_at'), e.updated_at, e.created_at) as at
) as answered
where who.user_id is not null
    and coalesce(e.updated_at, e.created_at) >= %(window_start)s::timestamptz
    and answered.at >= %(window_start)s::timestamptz
    and answered.at < %(window_end)s::timestamptz
    and (
        %(topics)s::text[] = '{}'
        or coalesce(element.body ->> 'topic', element.body ->> 'topic_id') = any(%(topics)s::text[])
    )
    and (%(exam_ids)s::int[] = '{}' or e.exam_id = any(%(exam_ids)s::int[]))
order by who.user_id, answered.at desc, e.id desc, element.position desc
