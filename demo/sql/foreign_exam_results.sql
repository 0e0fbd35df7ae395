-- Purpose: count exams that are not the demo's; if there are any, the demo does not touch the database.
-- Grain:   one row.
-- Parameters: none.
select count(*) from exam_results where session_id is null or session_id not like 'demo-%'
