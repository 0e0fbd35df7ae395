-- Purpose: which parts of Airflow have started and say that they run. (Airflow's own database, of an installation on
--          one machine.)
-- Grain:   one row per part; the API server has none.
-- Parameters: none.
select distinct job_type from job where state = 'running'
