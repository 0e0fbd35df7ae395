-- Purpose: whether a DAG run that is cleared was planned before.
-- Grain:   one boolean.
-- Parameters: dag_run_id.
select exists (select from irt.run where dag_run_id = %(dag_run_id)s)
