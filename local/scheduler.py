"""Starts Airflow's scheduler with the packages that tasks need already imported.

LocalExecutor runs every task in a fork of a fork of the scheduler, so each task starts with what the scheduler has
imported. Only packages are preloaded: each task imports the project's own modules itself, so they may be edited.
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
)

if __name__ == "__main__":
    for module in _USED_BY_TASKS:
        importlib.import_module(module)
    sys.argv = ["airflow", "scheduler"]
    main()
