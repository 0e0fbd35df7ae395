"""Airflow's scheduler, whose tasks find loaded what they need.

On one machine LocalExecutor runs every task in a fork of a fork of the scheduler, so what the scheduler has imported is
there in each of them. Only packages are: the project's own modules are imported by each task, and may be edited.
"""

from __future__ import annotations

import importlib
import sys

from airflow.__main__ import main

_USED_BY_TASKS = (
    "adbc_driver_postgresql.dbapi",
    "airflow.dag_processing.dagbag",
    "airflow.providers.http.hooks.http",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.sdk.execution_time.task_runner",
    "psycopg",
    "pyarrow.compute",
    "pyarrow.parquet",
    "requests_toolbelt",
)

if __name__ == "__main__":
    for module in _USED_BY_TASKS:
        importlib.import_module(module)
    sys.argv = ["airflow", "scheduler"]
    main()
