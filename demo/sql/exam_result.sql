-- Purpose: one exam of the demo's banks.
-- Grain:   one exam session.
-- Parameters, in order: user_id, session_id, exam_id, result_json (JSON), updated_at.
insert into exam_results (user_id, session_id, exam_id, result_json, updated_at)
values (%s, %s, %s, %s::jsonb, %s)
