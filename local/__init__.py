"""The whole system on one machine: embedded PostgreSQL, the calibration service, Airflow.

`./irt` is the entry point. Nothing here runs in production, and the DAG package does not use this folder.
"""
