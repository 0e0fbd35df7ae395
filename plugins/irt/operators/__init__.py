"""The operators. They are thin: `execute` imports what a task's work needs.

Airflow parses the DAG file again for every task, in a new process, so every task pays for what the file imports:
pyarrow, even if it runs a few statements; the web client, which only one task needs. Ruff's TID253 (pyproject.toml)
lists what must not be imported at the top of a module.
"""
