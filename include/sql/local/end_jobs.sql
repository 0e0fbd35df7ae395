-- Purpose: let Airflow see at once that parts of it are dead, instead of after many missed heartbeats. (In Airflow's
--          own database, of an installation on one machine.)
-- Grain:   one row of job per part of Airflow that was ever started.
-- Parameters: job_types (text[]): SchedulerJob, TriggererJob, DagProcessorJob.
update job set state = 'failed', end_date = now() where state = 'running' and job_type = any(%(job_types)s)
