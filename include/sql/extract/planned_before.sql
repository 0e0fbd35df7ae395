-- Purpose: whether a DAG run was planned before (it was cleared since).
-- Grain:   one boolean.
-- Parameters: dag_run_id.
select exists (select from irt.run where dag_run_id = %(dag_run_id)s)
