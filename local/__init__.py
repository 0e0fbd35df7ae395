"""The whole system on one machine: embedded PostgreSQL, the calibration service, Airflow, demo data.

`./irt` is the door. Nothing in here runs in production; the DAG package knows nothing of this folder.
"""
