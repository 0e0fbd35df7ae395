-- Purpose: count a person's exams: we do not remove them, and the next night estimates an ability from them again.
-- Grain:   one number.
-- Parameters: user_ids.
select count(*) from exam_results where user_id = any(%(user_ids)s) or md5(user_id)::uuid::text = any(%(user_ids)s)
