-- Purpose: make room for the demo's exams, so that loading them again duplicates nothing.
-- Grain:   all exams of the demo.
-- Parameters: none.
delete from exam_results where session_id like 'demo-%'
