"""What Airflow loads beside the DAGs of this package: operators, hooks, triggers and the settings of the banks."""
