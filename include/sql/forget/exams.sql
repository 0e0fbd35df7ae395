-- Purpose: a person's exams, which are not ours to remove, and from which the next night would estimate again.
-- Grain:   one number.
-- Parameters: user_ids.
select count(*) from exam_results where user_id = any(%(user_ids)s) or md5(user_id)::uuid::text = any(%(user_ids)s)
