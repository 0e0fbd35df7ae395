-- Purpose: remove the demo's exams, so that loading them again makes no duplicates.
-- Grain:   all exams of the demo.
-- Parameters: none.
delete from exam_results where session_id like 'demo-%'
