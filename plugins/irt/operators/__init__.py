"""The operators. They are thin: what a task's work needs is imported by `execute`.

Airflow parses the DAG file anew for every task, in a process of its own, so what the file imports is paid by each of
them: pyarrow by one that runs a few statements, the web client by all but one. Ruff's TID253 (pyproject.toml) lists
what must not be imported at the top of a module.
"""
