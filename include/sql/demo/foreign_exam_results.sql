-- Purpose: does the database hold answers of real people? Then the demo keeps its hands off.
-- Grain:   one row.
-- Parameters: none.
select count(*) from exam_results where session_id is null or session_id not like 'demo-%'
