-- Purpose: the group of each user of the bank: the exam or the topic of the user's latest answer in the window, whether
--          or not that answer counts. NULL if the answer has none; an exam also if its session is that of others too.
-- Grain:   one user with answers in the window.
-- Parameters: as attempts.sql; by (exam or topic).
with exam as (
    select e.session_id, min(e.exam_id)::text as exam_id
    from exam_results as e
    where (%(by)s::text = 'exam' or %(exam_ids)s::int[] <> '{}') and e.session_id is not null
    group by e.session_id
    having count(distinct e.exam_id) = 1
)

select distinct on (a.student_id)
    a.student_id::text as user_id,
    case %(by)s::text when 'exam' then exam.exam_id else nullif(btrim(a.topic_id), '') end as group_id
from attempt as a
left join exam on exam.session_id = a.session_id::text
where a.student_id is not null
    and a.completed_at >= %(window_start)s::timestamptz
    and a.completed_at < %(window_end)s::timestamptz
    and (%(topics)s::text[] = '{}' or a.topic_id = any(%(topics)s::text[]))
    and (%(exam_ids)s::int[] = '{}' or exam.exam_id::int = any(%(exam_ids)s::int[]))
order by a.student_id, a.completed_at desc, a.id desc
