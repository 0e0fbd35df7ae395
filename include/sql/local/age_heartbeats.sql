-- Purpose: let Airflow see at once that tasks are dead whose processes are known to be dead. (In Airflow's own
--          database, of an installation on one machine.)
-- Grain:   one row of task_instance per task of a run.
-- Parameters: task_instances (text[]): their ids; null: all running tasks.
update task_instance set last_heartbeat_at = 'epoch'
where state in ('running', 'restarting')
    and (%(task_instances)s::text[] is null or id::text = any(%(task_instances)s))
