"""What the DAGs import: operators, hooks, triggers and the settings of the banks."""
