-- Purpose: values of exam_results that a view `attempt` with unchecked casts cannot read: not an integer, or not a
--          boolean, where one is expected. Runs only after the view has failed; like the view, it reads every exam,
--          whatever the window.
-- Grain:   one value: exam, position of the answer in it, field, value. The first 20.
-- Parameters: none.
select e.id::text as exam, e.session_id, element.position, field.name, left(field.value, 60) as value
from exam_results as e
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(e.result_json -> 'questions') = 'array' then e.result_json -> 'questions' else '[]' end
) with ordinality as element (body, position)
cross join lateral (
    values
    ('question_id', element.body ->> 'question_id', '^\s*([-+]?\d{1,18})?\s*$'),
    (
        'is_correct', element.body ->> 'is_correct',
        '^\s*(t|tr|tru|true|f|fa|fal|fals|false|y|ye|yes|n|no|on|of|off|0|1)\s*$'
    ),
    ('correct', element.body ->> 'correct', '^\s*(t|tr|tru|true|f|fa|fal|fals|false|y|ye|yes|n|no|on|of|off|0|1)\s*$')
) as field (name, value, looks_like)
where field.value !~* field.looks_like
order by e.id, element.position, field.name
limit 20
